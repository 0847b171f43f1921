-- The records of the log as analysts read them: data as text where it is JSON,
-- and nothing that was deleted. See docs/sqlserver.md.
CREATE OR ALTER VIEW {schema}.records
AS
SELECT e.position, s.[partition], s.name AS stream, LEFT(s.name, CHARINDEX('-', s.name + '-') - 1) AS stream_type, e.version, e.changeset, e.[type],
       e.[json] AS data, e.tags, COALESCE(e.occurred_at, e.recorded_at) AS occurred_at, e.recorded_at, e.context,
       LOWER(CONVERT(char(32), e.id, 2)) AS id, LOWER(CONVERT(char(32), e.append_id, 2)) AS append_id, COALESCE(e.content_type, 'application/json') AS content_type
FROM {schema}.events e
JOIN {schema}.streams s ON s.id = e.stream_id
WHERE NOT EXISTS (SELECT 1 FROM {schema}.hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through);
