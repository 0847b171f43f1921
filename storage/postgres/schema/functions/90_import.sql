-- Stores changesets as they are, if the log still ends where the caller has
-- looked: else nothing, and returns false; null while a transaction that is open
-- has promised anything. The arrays are as in append.
CREATE OR REPLACE FUNCTION {schema}.import(looked bigint,
    s_partition text[], s_name text[], s_first bigint[],
    c_append_id uuid[], c_stream int[], c_ordinal bigint[], c_number bigint[], c_first bigint[], c_count int[], c_recorded_at timestamptz[], c_detailed boolean[],
    e_changeset int[], e_place int[], e_nth int[], e_position bigint[], e_id uuid[], e_type text[], e_content_type text[], e_json text[], e_data bytea[],
    e_occurred_at timestamptz[], e_tags text[], e_context text[], e_metadata bytea[],
    besides jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE {definer}
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    log_end record;
    it      record;
    every   boolean[] := array_fill(true, ARRAY[cardinality(c_count)]);
BEGIN
    SELECT * INTO log_end FROM {schema}.take_turn(NULL);
    IF log_end.in_flight THEN
        RETURN NULL;
    END IF;
    IF log_end.position <> looked THEN
        RETURN false;
    END IF;
    IF log_end.room IS NOT NULL THEN
        -- The indexes of the partitions keep an append from standing in one of
        -- them twice, and not from standing in two.
        SELECT k.append_id AS id INTO it
        FROM unnest(e_changeset, e_nth) e(changeset, nth) JOIN {schema}.events k ON k.append_id = c_append_id[e.changeset] AND k.nth = e.nth
        LIMIT 1;
        IF it.id IS NOT NULL THEN
            RAISE unique_violation USING MESSAGE = 'an append is stored already', DETAIL = 'append ' || it.id;
        END IF;
        PERFORM {schema}.make_room(e_position);
    END IF;
    INSERT INTO {schema}.streams (partition, name, first)
    SELECT * FROM unnest(s_partition, s_name, s_first) ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.events (position, version, ordinal, changeset, place, count, nth, append_id, id, recorded_at, occurred_at, detailed,
        partition, stream, type, content_type, json, data, tags, context, metadata)
    SELECT e.position, c_first[e.changeset] + e.place, c_ordinal[e.changeset], c_number[e.changeset],
        e.place, c_count[e.changeset], e.nth, c_append_id[e.changeset], e.id, c_recorded_at[e.changeset], e.occurred_at, c_detailed[e.changeset],
        s_partition[c_stream[e.changeset]], s_name[c_stream[e.changeset]], e.type, e.content_type, e.json, e.data, e.tags::text[], e.context::jsonb, e.metadata
    FROM unnest(e_changeset, e_place, e_nth, e_position, e_id, e_type, e_content_type, e_json, e_data, e_occurred_at, e_tags, e_context, e_metadata)
        e(changeset, place, nth, position, id, type, content_type, json, data, occurred_at, tags, context, metadata);
    INSERT INTO {schema}.tags (tag, position)
    SELECT t.tag, e.position FROM {schema}.events e CROSS JOIN unnest(e.tags) t(tag) WHERE e.position > looked;
    IF besides IS NOT NULL THEN
        -- One after the other: a claim may change hands more than once.
        FOR it IN
            SELECT s_partition[c_stream[r.changeset]] AS partition, s_name[c_stream[r.changeset]] AS stream, r.kind, r.value, r.release
            FROM jsonb_to_recordset(besides -> 'hands') r(changeset int, kind text, value text, release boolean)
        LOOP
            DELETE FROM {schema}.claims k
            WHERE k.partition = it.partition AND {schema}.claim_key(k.kind) = {schema}.claim_key(it.kind)
              AND {schema}.claim_key(k.value) = {schema}.claim_key(it.value);
            CONTINUE WHEN it.release;
            INSERT INTO {schema}.claims (partition, kind, value, stream) VALUES (it.partition, it.kind, it.value, it.stream);
        END LOOP;
        PERFORM {schema}.store_besides(besides, every, s_partition, s_name, (SELECT array_agg(n) FROM generate_series(1, cardinality(c_count)) n),
            c_stream, c_ordinal);
    END IF;
    PERFORM {schema}.ring();
    RETURN true;
END
$$;
