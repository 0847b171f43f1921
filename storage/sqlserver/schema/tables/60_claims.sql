-- Which stream holds a claim. It is found, and is unique, by a digest of its
-- parts, which are too long for an index; no text holds the byte between them.
-- https://learn.microsoft.com/sql/t-sql/functions/hashbytes-transact-sql
CREATE TABLE {schema}.claims (
    [partition] varchar(256)  COLLATE {collation} NOT NULL,
    kind        varchar(4096) COLLATE {collation} NOT NULL,
    value       varchar(4096) COLLATE {collation} NOT NULL,
    stream_id   bigint        NOT NULL,
    claim_key   AS CAST(HASHBYTES('SHA2_256', CAST([partition] AS varbinary(max)) + 0x00 + CAST(kind AS varbinary(max)) + 0x00 + CAST(value AS varbinary(max)))
        AS binary(32)) PERSISTED NOT NULL,
    CONSTRAINT claims_are_unique PRIMARY KEY CLUSTERED (claim_key),
    CONSTRAINT claims_are_held_by_a_stream FOREIGN KEY (stream_id) REFERENCES {schema}.streams (id)
);

CREATE INDEX claims_by_stream ON {schema}.claims (stream_id);
