-- The deletions that were made, also those of streams that never were.
CREATE TABLE {schema}.deletions (
    number        bigint        NOT NULL,
    id            binary(16)    NOT NULL,
    [partition]   varchar(256)  COLLATE {collation} NOT NULL,
    stream        varchar(1024) COLLATE {collation} NOT NULL,
    partition_key AS CAST([partition] AS varbinary(256)) PERSISTED NOT NULL,
    stream_key    AS CAST(stream AS varbinary(1024)) PERSISTED NOT NULL,
    asked_through bigint        NOT NULL,
    scrub         bit           NOT NULL,
    who           varchar(4096) COLLATE {collation} NOT NULL,
    why           varchar(4096) COLLATE {collation} NOT NULL,
    recorded_at   datetime2(6)  NOT NULL,
    through       bigint        NOT NULL,
    changesets    bigint        NOT NULL,
    records       bigint        NOT NULL,
    CONSTRAINT deletions_by_number PRIMARY KEY CLUSTERED (number),
    CONSTRAINT deletions_by_id UNIQUE (id)
);

CREATE INDEX deletions_by_stream ON {schema}.deletions (stream_key, partition_key, number);
