-- Promises an append inside the transaction of the caller, by the arguments of
-- append for one: if that commits, the next turn gives the events positions; if
-- not, there is no trace. It takes no turn, so that however long the transaction
-- stays open, nobody waits for it but those who depend on the same things.
--
-- Locks come first, and what is decided is read after them: from then on to the
-- end of the transaction nobody changes what the append depends on. They are
-- taken in the order of their numbers, so that two promises cannot wait for each
-- other.
--
-- refused is as of append; besides {"append", "why": "transaction", "found"} for
-- a transaction in which it cannot be done.
CREATE OR REPLACE FUNCTION {schema}.promise(
    append_ids uuid[], s_partition text[], s_name text[],
    c_append int[], c_stream int[], c_expect smallint[], c_at bigint[], c_count int[], c_detailed boolean[],
    e_changeset int[], e_place int[], e_nth int[], e_id uuid[], e_type text[], e_content_type text[], e_json text[], e_data bytea[],
    e_occurred_at timestamptz[], e_tags text[], e_context text[], e_metadata bytea[],
    tagged boolean, besides jsonb,
    OUT s_version bigint[], OUT s_changeset bigint[], OUT refused jsonb)
LANGUAGE plpgsql VOLATILE {definer}
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    live  boolean[];
    turn  bigint;
    it    record;
    i     int;
BEGIN
    refused := '[]';
    IF current_setting('transaction_isolation') <> 'read committed' OR current_setting('transaction_read_only')::boolean THEN
        refused := jsonb_build_array(jsonb_build_object('append', 1, 'why', 'transaction', 'found',
            current_setting('transaction_isolation') || CASE WHEN current_setting('transaction_read_only')::boolean THEN ', read only' ELSE '' END));
        RETURN;
    END IF;
    PERFORM {schema}.begin_promise();
    FOR it IN SELECT * FROM {schema}.keys_of(append_ids, s_partition, s_name, c_append, c_stream, besides) k ORDER BY k.key, k.shared LOOP
        IF it.shared THEN
            PERFORM pg_advisory_xact_lock_shared(it.key);
        ELSE
            PERFORM pg_advisory_xact_lock(it.key);
        END IF;
    END LOOP;

    SELECT array_agg(coalesce(p.version, l.version, d.version, 0) ORDER BY s.n), array_agg(coalesce(p.changeset, l.changeset, d.changeset, 0) ORDER BY s.n),
           array_agg(p.version IS NOT NULL OR l.version IS NOT NULL AND NOT {schema}.is_hidden(s.partition, s.name, l.version) ORDER BY s.n)
    INTO s_version, s_changeset, live
    FROM unnest(s_partition, s_name) WITH ORDINALITY s(partition, name, n)
    LEFT JOIN LATERAL (
        SELECT e.version, e.changeset FROM {schema}.promised_events e
        WHERE e.stream = s.name AND e.partition = s.partition ORDER BY e.version DESC LIMIT 1
    ) p ON true
    LEFT JOIN LATERAL (
        SELECT e.version, e.changeset FROM {schema}.events e
        WHERE e.stream = s.name AND e.partition = s.partition ORDER BY e.version DESC LIMIT 1
    ) l ON true
    LEFT JOIN LATERAL (
        SELECT k.version, k.changeset FROM {schema}.streams k
        WHERE l.version IS NULL AND k.name = s.name AND k.partition = s.partition
    ) d ON true;

    IF {schema}.is_known(append_ids[1]) THEN
        refused := '[{"append": 1, "why": "repeated"}]';
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(c_append) LOOP
        IF NOT {schema}.holds(c_expect[i], c_at[i], s_version[c_stream[i]], s_changeset[c_stream[i]], live[c_stream[i]]) THEN
            SELECT s_version[c_stream[i]] AS version, s_changeset[c_stream[i]] AS changeset, coalesce(max(h.first), 1) AS first,
                   coalesce(max(h.position), 0) AS position, max(h.recorded_at) AS recorded_at
            INTO it
            FROM {schema}.head(s_partition[c_stream[i]], s_name[c_stream[i]]) h;
            refused := jsonb_build_array(jsonb_build_object('append', 1, 'why', 'conflict', 'changeset', i,
                'head', CASE WHEN s_version[c_stream[i]] > 0 THEN to_jsonb(it) END));
            RETURN;
        END IF;
    END LOOP;
    IF besides IS NOT NULL THEN
        refused := {schema}.check_besides(besides, ARRAY[true], s_partition, s_name, c_append, c_stream, true);
        IF refused <> '[]' THEN
            RETURN;
        END IF;
    END IF;

    INSERT INTO {schema}.promised (append_id, events, changesets, tagged, s_partition, s_name, c_stream, besides)
    VALUES (append_ids[1], cardinality(e_id), cardinality(c_append), tagged, s_partition, s_name, c_stream, besides)
    RETURNING number INTO turn;
    INSERT INTO {schema}.promised_events (number, in_append, version, changeset, place, count, nth, append_id, id, occurred_at, detailed,
        partition, stream, type, content_type, json, data, tags, context, metadata)
    SELECT turn, e.changeset, s_version[c_stream[e.changeset]] + e.place + 1, s_changeset[c_stream[e.changeset]] + 1,
        e.place, c_count[e.changeset], e.nth, append_ids[1], e.id, e.occurred_at, c_detailed[e.changeset],
        s_partition[c_stream[e.changeset]], s_name[c_stream[e.changeset]], e.type, e.content_type, e.json, e.data, e.tags::text[], e.context::jsonb, e.metadata
    FROM unnest(e_changeset, e_place, e_nth, e_id, e_type, e_content_type, e_json, e_data, e_occurred_at, e_tags, e_context, e_metadata)
        e(changeset, place, nth, id, type, content_type, json, data, occurred_at, tags, context, metadata);
    -- Not ring: the lock that tells whether anybody waits would be held until
    -- the transaction ends. The server sends this when it commits.
    PERFORM pg_notify('daybook_' || '{schema}.events'::regclass::oid, '');
END
$$;
