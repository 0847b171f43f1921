-- What some changesets have besides events.
CREATE TABLE {schema}.changesets (
    ordinal   bigint PRIMARY KEY,
    metadata  bytea,
    claims    jsonb, -- [{"kind", "value"}], as releases
    releases  jsonb,
    refers_to jsonb  -- [{"partition", "name"}]
);
