-- Removes rows of hidden events of a stream, whole changesets, about as many as
-- asked. Returns how many; 0 when none are left. What receipts need is kept.
CREATE OR REPLACE FUNCTION {schema}.remove_hidden(a_partition text, a_stream text, about int) RETURNS bigint
LANGUAGE plpgsql VOLATILE {definer}
AS $$
DECLARE
    bound bigint;
    cut   bigint;
    gone  bigint;
BEGIN
    SELECT h.through INTO bound FROM {schema}.hidden h WHERE h.partition = a_partition AND h.stream = a_stream FOR UPDATE;
    IF bound IS NULL THEN
        RETURN 0;
    END IF;
    SELECT max(f.version - f.place + f.count - 1) INTO cut
    FROM (
        SELECT e.version, e.place, e.count FROM {schema}.events e
        WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= bound
        ORDER BY e.version LIMIT about
    ) f;
    IF cut IS NULL THEN
        DELETE FROM {schema}.hidden h WHERE h.partition = a_partition AND h.stream = a_stream;
        RETURN 0;
    END IF;
    INSERT INTO {schema}.deleted_changesets (append_id, ordinal, partition, stream, number, first, count, first_position, last_position, recorded_at)
    SELECT e.append_id, e.ordinal, e.partition, e.stream, e.changeset, min(e.version), e.count, min(e.position), max(e.position), e.recorded_at
    FROM {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut
    GROUP BY e.append_id, e.ordinal, e.partition, e.stream, e.changeset, e.count, e.recorded_at;
    DELETE FROM {schema}.tags t USING {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut AND t.position = e.position AND t.tag = ANY (e.tags);
    DELETE FROM {schema}.changesets c USING {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut AND e.detailed AND c.ordinal = e.ordinal;
    DELETE FROM {schema}.events e WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
