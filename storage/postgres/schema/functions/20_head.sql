-- Where a stream ends, and the lowest version that is left of it; no row for
-- one that never was.
CREATE OR REPLACE FUNCTION {schema}.head(a_partition text, a_stream text,
    OUT version bigint, OUT changeset bigint, OUT first bigint, OUT "position" bigint, OUT recorded_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT coalesce(e.version, s.version), coalesce(e.changeset, s.changeset), s.first,
           coalesce(e.position, s.position), coalesce(e.recorded_at, s.recorded_at)
    FROM {schema}.streams s
    LEFT JOIN LATERAL (
        SELECT l.version, l.changeset, l.position, l.recorded_at
        FROM {schema}.events l
        WHERE l.stream = s.name AND l.partition = s.partition
        ORDER BY l.version DESC
        LIMIT 1
    ) e ON true
    WHERE s.partition = a_partition AND s.name = a_stream;
END;
