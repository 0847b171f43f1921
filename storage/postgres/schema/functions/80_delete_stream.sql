-- Deletes the changesets of a stream that end at a version or below; 0 is all.
-- They are hidden at once; remove_hidden removes their rows. busy: a transaction
-- that is open has promised something to the stream, or refers to it.
CREATE OR REPLACE FUNCTION {schema}.delete_stream(clock timestamptz, a_id uuid, a_partition text, a_stream text,
    expect smallint, place bigint, asked bigint, a_scrub boolean, a_who text, a_why text,
    OUT repeated boolean, OUT conflict jsonb, OUT busy boolean)
LANGUAGE plpgsql VOLATILE {definer}
AS $$
DECLARE
    log_end record;
    head    record;
    cut     record; -- the last event that goes
    turn    bigint;
    gone    bigint := 0;
    whole   bigint := 0;
BEGIN
    SELECT * INTO log_end FROM {schema}.take_turn(clock);
    repeated := EXISTS (SELECT FROM {schema}.deletions d WHERE d.id = a_id);
    busy := false;
    IF repeated THEN
        RETURN;
    END IF;
    IF log_end.in_flight THEN
        busy := NOT (pg_try_advisory_xact_lock({schema}.key_of('stream', a_partition, a_stream))
            AND pg_try_advisory_xact_lock({schema}.key_of('existence', a_partition, a_stream)));
        IF busy THEN
            RETURN;
        END IF;
        SELECT p.log_position, p.log_ordinal INTO log_end.position, log_end.ordinal
        FROM {schema}.settle_promised(log_end.recorded_at, log_end.position, log_end.ordinal) p;
    END IF;
    SELECT h.* INTO head FROM {schema}.head(a_partition, a_stream) h;
    IF NOT {schema}.holds(expect, place, coalesce(head.version, 0), coalesce(head.changeset, 0), coalesce(head.first <= head.version, false)) THEN
        conflict := coalesce(to_jsonb(head), '{}');
        RETURN;
    END IF;
    SELECT e.version, e.changeset INTO cut
    FROM {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version >= head.first AND e.place = e.count - 1
      AND (asked = 0 OR e.version <= asked)
    ORDER BY e.version DESC
    LIMIT 1;
    IF cut.version IS NOT NULL THEN
        gone := cut.version - head.first + 1;
        SELECT cut.changeset - e.changeset + 1 INTO whole
        FROM {schema}.events e
        WHERE e.stream = a_stream AND e.partition = a_partition AND e.version = head.first;
        INSERT INTO {schema}.hidden AS h (partition, stream, through) VALUES (a_partition, a_stream, cut.version)
        ON CONFLICT (partition, stream) DO UPDATE SET through = greatest(h.through, excluded.through);
        UPDATE {schema}.streams s
        SET first = cut.version + 1,
            (version, changeset, position, recorded_at) = (SELECT head.version, head.changeset, head.position, head.recorded_at WHERE cut.version = head.version)
        WHERE s.partition = a_partition AND s.name = a_stream;
        IF cut.version = head.version THEN
            DELETE FROM {schema}.claims k WHERE k.partition = a_partition AND k.stream = a_stream;
        END IF;
    END IF;
    UPDATE {schema}.store s
    SET deletions = s.deletions + 1, position = log_end.position, ordinal = log_end.ordinal, recorded_at = log_end.recorded_at
    RETURNING s.deletions INTO turn;
    INSERT INTO {schema}.deletions (number, id, partition, stream, asked_through, scrub, who, why, recorded_at, through, changesets, records)
    VALUES (turn, a_id, a_partition, a_stream, asked, a_scrub, a_who, a_why, log_end.recorded_at,
        coalesce(cut.version, head.first - 1, 0), whole, gone);
END
$$;
