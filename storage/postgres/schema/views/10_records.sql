-- The records of the log as analysts read them: data as jsonb where it is JSON,
-- and nothing that was deleted. See docs/postgres.md.
CREATE OR REPLACE VIEW {schema}.records AS
SELECT e.position, e.partition, e.stream, split_part(e.stream, '-', 1) AS stream_type, e.version, e.changeset, e.type,
       {schema}.json_of(e.json) AS data, e.tags, coalesce(e.occurred_at, e.recorded_at) AS occurred_at, e.recorded_at,
       e.context, e.id, e.append_id, coalesce(e.content_type, 'application/json') AS content_type
FROM {schema}.events e
WHERE NOT EXISTS (SELECT FROM {schema}.hidden h WHERE h.partition = e.partition AND h.stream = e.stream AND e.version <= h.through);
