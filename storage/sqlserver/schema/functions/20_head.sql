-- Where a stream ends, and the lowest version that is left of it.
-- https://learn.microsoft.com/sql/t-sql/statements/create-function-transact-sql#inline-table-valued-function
CREATE OR ALTER FUNCTION {schema}.head(@stream_id bigint) RETURNS TABLE
AS RETURN
    SELECT COALESCE(e.version, s.version) AS version, COALESCE(e.changeset, s.changeset) AS changeset, s.[first],
           COALESCE(e.position, s.position) AS position, COALESCE(e.recorded_at, s.recorded_at) AS recorded_at
    FROM {schema}.streams s
    OUTER APPLY (
        SELECT TOP (1) l.version, l.changeset, l.position, l.recorded_at
        FROM {schema}.events l
        WHERE l.stream_id = s.id
        ORDER BY l.version DESC
    ) e
    WHERE s.id = @stream_id;
