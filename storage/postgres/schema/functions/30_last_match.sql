-- The highest position above another at which an event matches a query; 0 if
-- there is none. The query is an array of items {"types", "tags"}: an event
-- matches an item that names its type, or no types, and whose tags it all has;
-- it matches a query if it matches any item, or the query has none.
CREATE OR REPLACE FUNCTION {schema}.last_match(items jsonb, above bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    item      jsonb;
    its_types text[];
    its_tags  text[];
    found     bigint;
    last      bigint := 0;
BEGIN
    IF jsonb_array_length(items) = 0 THEN
        items := '[{}]';
    END IF;
    FOR item IN SELECT i FROM jsonb_array_elements(items) i LOOP
        its_types := ARRAY(SELECT jsonb_array_elements_text(item -> 'types'));
        its_tags := ARRAY(SELECT jsonb_array_elements_text(item -> 'tags'));
        IF cardinality(its_tags) > 0 THEN
            SELECT t.position INTO found
            FROM {schema}.tags t JOIN {schema}.events e USING (position)
            WHERE t.tag = its_tags[1] AND t.position > greatest(above, last)
              AND e.tags @> its_tags AND (cardinality(its_types) = 0 OR e.type = ANY (its_types))
              AND NOT {schema}.is_hidden(e.partition, e.stream, e.version)
            ORDER BY t.position DESC
            LIMIT 1;
        ELSIF cardinality(its_types) > 0 THEN
            SELECT max(m.position) INTO found
            FROM unnest(its_types) k(type) CROSS JOIN LATERAL (
                SELECT e.position
                FROM {schema}.events e
                WHERE e.type = k.type AND e.position > greatest(above, last)
                  AND NOT {schema}.is_hidden(e.partition, e.stream, e.version)
                ORDER BY e.position DESC
                LIMIT 1
            ) m;
        ELSE
            SELECT e.position INTO found
            FROM {schema}.events e
            WHERE e.position > greatest(above, last) AND NOT {schema}.is_hidden(e.partition, e.stream, e.version)
            ORDER BY e.position DESC
            LIMIT 1;
        END IF;
        last := greatest(last, found);
    END LOOP;
    RETURN last;
END
$$;
