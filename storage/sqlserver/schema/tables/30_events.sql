-- The log: one row an event, which never changes. Times are UTC.
CREATE TABLE {schema}.events (
    position      bigint          NOT NULL,
    stream_id     bigint          NOT NULL,
    version       bigint          NOT NULL,
    ordinal       bigint          NOT NULL, -- of its changeset, in the log
    changeset     bigint          NOT NULL, -- of its changeset, in the stream
    place         int             NOT NULL, -- in its changeset, from 0
    [count]       int             NOT NULL, -- of the events of its changeset
    nth           int             NOT NULL, -- in its append, from 0
    append_id     binary(16)      NOT NULL,
    id            binary(16)      NOT NULL,
    recorded_at   datetime2(6)    NOT NULL,
    occurred_at   datetime2(6)    NULL,     -- null: when it was recorded
    detailed      bit             NOT NULL, -- its changeset has a row in changesets
    partition_key varbinary(256)  NOT NULL, -- as in streams
    stream_type   varbinary(1024) NOT NULL,
    [type]        varchar(256)    COLLATE {collation} NOT NULL,
    type_key      AS CAST([type] AS varbinary(256)) PERSISTED NOT NULL,
    content_type  varchar(4096)   COLLATE {collation} NULL, -- null: application/json
    [json]        varchar(max)    COLLATE {collation} NULL, -- the data, where it is JSON and a text can hold it,
    data          varbinary(max)  NULL,                     -- else here, byte for byte
    tags          varchar(max)    COLLATE {collation} NULL, -- an array, as JSON
    context       varchar(max)    COLLATE {collation} NULL, -- an object, as JSON
    metadata      varbinary(max)  NULL,                     -- of the context
    CONSTRAINT events_by_position PRIMARY KEY CLUSTERED (position),
    CONSTRAINT events_by_stream UNIQUE (stream_id, version),
    CONSTRAINT events_by_append UNIQUE (append_id, nth),
    CONSTRAINT events_have_a_stream FOREIGN KEY (stream_id) REFERENCES {schema}.streams (id)
);

CREATE INDEX events_by_type ON {schema}.events (type_key, position);
CREATE INDEX events_by_stream_type ON {schema}.events (stream_type, position);
-- An index of some rows: https://learn.microsoft.com/sql/relational-databases/indexes/create-filtered-indexes
CREATE INDEX events_by_partition ON {schema}.events (partition_key, position) WHERE partition_key <> 0x;
