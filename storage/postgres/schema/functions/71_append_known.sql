-- Stores appends of events alone whose outcome the caller has worked out: he
-- knows where each stream ends, from a state of the log with that last position
-- and so many deletions. If the log is still in that state nothing else can
-- stand in the way, and all of them are stored; else none, and it returns null.
-- Otherwise it returns the recorded time, which is not before the one given.
--
-- It does what append does, without looking anything up. That an append was
-- stored before shows when its id is added to the index, as an error; where each
-- partition has an index of its own, or rows are removed meanwhile, it need not,
-- and is looked up. While anything is promised it stores nothing.
--
-- The last six arrays are null where no event has any of it. e_tags and e_context
-- have arrays and JSON, as texts.
CREATE OR REPLACE FUNCTION {schema}.append_known(looked bigint, looked_ordinal bigint, looked_deletions bigint, not_before timestamptz, clock timestamptz,
    e_version bigint[], e_ordinal int[], e_changeset bigint[], e_place int[], e_count int[], e_nth int[], e_append_id uuid[], e_id uuid[],
    e_partition text[], e_stream text[], e_type text[], e_json text[],
    e_content_type text[], e_data bytea[], e_occurred_at timestamptz[], e_tags text[], e_context text[], e_metadata bytea[]) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE {definer}
AS $$
DECLARE
    stored int;
    at     timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN NULL; -- append says why
    END IF;
    PERFORM pg_advisory_xact_lock({class}, '{schema}.events'::regclass::oid::int);
    IF {schema}.is_promising() THEN
        RETURN NULL;
    END IF;
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true); -- as in take_turn
    END IF;
    SELECT greatest(not_before, l.recorded_at, coalesce(clock, clock_timestamp())) INTO at
    FROM (SELECT e.position, e.recorded_at FROM {schema}.events e ORDER BY e.position DESC LIMIT 1) l
    WHERE l.position = looked;
    IF at IS NULL THEN
        RETURN NULL;
    END IF;
    -- Functions that return sets are called side by side in a list of columns,
    -- row by row; in a FROM each would first be gathered whole.
    INSERT INTO {schema}.events (position, version, ordinal, changeset, place, count, nth, append_id, id, recorded_at, partition, stream, type, json,
        content_type, data, occurred_at, tags, context, metadata)
    SELECT looked + e.n, e.version, looked_ordinal + e.ordinal, e.changeset, e.place, e.count, e.nth, e.append_id, e.id, at, e.partition, e.stream, e.type, e.json,
        e.content_type, e.data, e.occurred_at, e.tags::text[], e.context::jsonb, e.metadata
    FROM (
        SELECT generate_series(1, cardinality(e_id)) AS n, unnest(e_version) AS version, unnest(e_ordinal) AS ordinal, unnest(e_changeset) AS changeset,
            unnest(e_place) AS place, unnest(e_count) AS count, unnest(e_nth) AS nth, unnest(e_append_id) AS append_id, unnest(e_id) AS id,
            unnest(e_partition) AS partition, unnest(e_stream) AS stream, unnest(e_type) AS type, unnest(e_json) AS json,
            unnest(e_content_type) AS content_type, unnest(e_data) AS data, unnest(e_occurred_at) AS occurred_at,
            unnest(e_tags) AS tags, unnest(e_context) AS context, unnest(e_metadata) AS metadata
        WHERE EXISTS (
              SELECT FROM {schema}.store s
              WHERE s.deletions = looked_deletions
                AND (s.room IS NULL OR looked + cardinality(e_id) <= s.room AND NOT EXISTS (SELECT FROM {schema}.events k WHERE k.append_id = ANY (e_append_id))))
          AND NOT EXISTS (SELECT FROM {schema}.promised)
          AND (looked_deletions = 0 OR NOT EXISTS (SELECT FROM {schema}.deleted_changesets d WHERE d.append_id = ANY (e_append_id))
              AND NOT EXISTS (SELECT FROM {schema}.events o WHERE o.append_id = ANY (e_append_id)))
    ) e;
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored = 0 THEN
        RETURN NULL;
    END IF;
    IF e_tags IS NOT NULL THEN
        INSERT INTO {schema}.tags (tag, position)
        SELECT unnest(e.tags::text[]), looked + e.n
        FROM (SELECT generate_series(1, cardinality(e_tags)) AS n, unnest(e_tags) AS tags) e
        WHERE e.tags IS NOT NULL;
    END IF;
    IF NOT pg_try_advisory_xact_lock({class} + 1, '{schema}.events'::regclass::oid::int) THEN
        PERFORM {schema}.ring();
    END IF;
    RETURN at;
END
$$;
