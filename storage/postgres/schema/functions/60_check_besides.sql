-- Which appends the conditions, references, releases and claims of append keep
-- from being stored, and why. Of an append only the first reason counts. Who
-- promises besides looks at what was promised before, and is not settled.
CREATE OR REPLACE FUNCTION {schema}.check_besides(besides jsonb, accepted boolean[], s_partition text[], s_name text[],
    c_append int[], c_stream int[], promises boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    refused jsonb := '[]';
    it      jsonb;
    n       int; -- the append of it
    own     int; -- its stream
    found   bigint;
    holder  text;
    promised record;
BEGIN
    FOR it IN SELECT c FROM jsonb_array_elements(besides -> 'conditions') c LOOP
        n := (it ->> 'append')::int;
        CONTINUE WHEN NOT accepted[n];
        found := {schema}.last_match(it -> 'items', (it ->> 'after')::bigint);
        IF found > 0 THEN
            accepted[n] := false;
            refused := refused || jsonb_build_object('append', n, 'why', 'condition', 'position', found);
        END IF;
    END LOOP;
    FOR it IN SELECT r FROM jsonb_array_elements(besides -> 'references') r LOOP
        n := c_append[(it ->> 'changeset')::int];
        CONTINUE WHEN NOT accepted[n];
        -- What the same append creates counts.
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(c_append, c_stream) c(append, stream)
            WHERE c.append = n AND s_partition[c.stream] = it ->> 'partition' AND s_name[c.stream] = it ->> 'name');
        CONTINUE WHEN EXISTS (
            SELECT FROM {schema}.head(it ->> 'partition', it ->> 'name') h WHERE h.first <= h.version);
        CONTINUE WHEN promises AND EXISTS (
            SELECT FROM {schema}.promised_events e WHERE e.stream = it ->> 'name' AND e.partition = it ->> 'partition');
        accepted[n] := false;
        refused := refused || (it || jsonb_build_object('append', n, 'why', 'reference'));
    END LOOP;
    FOR it IN SELECT r || '{"release": true}' FROM jsonb_array_elements(besides -> 'releases') r
        UNION ALL SELECT c FROM jsonb_array_elements(besides -> 'claims') c
    LOOP
        n := c_append[(it ->> 'changeset')::int];
        own := c_stream[(it ->> 'changeset')::int];
        CONTINUE WHEN NOT accepted[n];
        SELECT k.stream INTO holder FROM {schema}.claims k
        WHERE k.partition = s_partition[own] AND {schema}.claim_key(k.kind) = {schema}.claim_key(it ->> 'kind')
          AND {schema}.claim_key(k.value) = {schema}.claim_key(it ->> 'value');
        IF promises THEN
            SELECT * INTO promised FROM {schema}.promised_holder(s_partition[own], it ->> 'kind', it ->> 'value');
            IF promised.touched THEN
                holder := promised.holder;
            END IF;
        END IF;
        CONTINUE WHEN holder IS NULL OR holder = s_name[own];
        -- The releases of an append are carried out before its claims.
        CONTINUE WHEN NOT it ? 'release' AND EXISTS (
            SELECT FROM jsonb_array_elements(besides -> 'releases') r
            WHERE c_append[(r ->> 'changeset')::int] = n AND s_partition[c_stream[(r ->> 'changeset')::int]] = s_partition[own]
              AND r ->> 'kind' = it ->> 'kind' AND r ->> 'value' = it ->> 'value');
        accepted[n] := false;
        refused := refused || (it || jsonb_build_object('append', n, 'why', 'claim', 'holder', holder));
    END LOOP;
    RETURN refused;
END
$$;
