-- What some changesets have besides events.
CREATE TABLE {schema}.changesets (
    ordinal   bigint         NOT NULL,
    metadata  varbinary(max) NULL,
    claims    varchar(max)   COLLATE {collation} NULL, -- as JSON: [{"kind", "value"}], as releases
    releases  varchar(max)   COLLATE {collation} NULL,
    refers_to varchar(max)   COLLATE {collation} NULL, -- [{"partition", "name"}]
    CONSTRAINT changesets_by_ordinal PRIMARY KEY CLUSTERED (ordinal)
);
