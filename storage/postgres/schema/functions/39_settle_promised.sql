-- Moves what is promised, and committed, to the end of the log: whoever calls it
-- has the turn. Takes and returns where the log ends.
CREATE OR REPLACE FUNCTION {schema}.settle_promised(at timestamptz, INOUT log_position bigint, INOUT log_ordinal bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    numbers bigint[]; -- what is committed later is left for the next turn
    it      record;
    before  bigint := log_position;
    first   bigint := log_ordinal;
BEGIN
    SELECT array_agg(p.number ORDER BY p.number), log_position + sum(p.events), log_ordinal + sum(p.changesets)
    INTO numbers, log_position, log_ordinal
    FROM {schema}.promised p;
    IF numbers IS NULL THEN
        log_position := before;
        log_ordinal := first;
        RETURN;
    END IF;
    PERFORM {schema}.make_room_behind(before, log_position - before);
    INSERT INTO {schema}.streams (partition, name)
    SELECT s.partition, s.name
    FROM {schema}.promised p CROSS JOIN LATERAL unnest(p.s_partition, p.s_name) s(partition, name)
    WHERE p.number = ANY (numbers)
    ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.events (position, version, ordinal, changeset, place, count, nth, append_id, id, recorded_at, occurred_at, detailed,
        partition, stream, type, content_type, json, data, tags, context, metadata)
    SELECT before + p.events_before + e.nth + 1, e.version, first + p.changesets_before + e.in_append, e.changeset,
        e.place, e.count, e.nth, e.append_id, e.id, at, e.occurred_at, e.detailed,
        e.partition, e.stream, e.type, e.content_type, e.json, e.data, e.tags, e.context, e.metadata
    FROM (
        SELECT q.number, sum(q.events) OVER above - q.events AS events_before, sum(q.changesets) OVER above - q.changesets AS changesets_before
        FROM {schema}.promised q
        WHERE q.number = ANY (numbers)
        WINDOW above AS (ORDER BY q.number ROWS UNBOUNDED PRECEDING)
    ) p JOIN {schema}.promised_events e USING (number);
    INSERT INTO {schema}.tags (tag, position)
    SELECT t.tag, e.position FROM {schema}.events e CROSS JOIN unnest(e.tags) t(tag)
    WHERE e.position > before AND EXISTS (SELECT FROM {schema}.promised p WHERE p.tagged AND p.number = ANY (numbers));
    FOR it IN SELECT * FROM {schema}.promised p WHERE p.number = ANY (numbers) ORDER BY p.number LOOP
        IF it.besides IS NOT NULL THEN
            PERFORM {schema}.store_besides(it.besides, ARRAY[true], it.s_partition, it.s_name, array_fill(1, ARRAY[it.changesets]), it.c_stream,
                ARRAY(SELECT first + n FROM generate_series(1, it.changesets) n ORDER BY n));
        END IF;
        first := first + it.changesets;
    END LOOP;
    DELETE FROM {schema}.promised_events e WHERE e.number = ANY (numbers);
    DELETE FROM {schema}.promised p WHERE p.number = ANY (numbers);
END
$$;
