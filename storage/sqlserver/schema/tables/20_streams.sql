-- Every stream that ever had records. Where it ends is told by its last event;
-- where all of its events are deleted, here.
--
-- A text is compared by the bytes of its UTF-8, which a column beside it has: to
-- every collation, 'a' and 'a ' are equal.
-- https://learn.microsoft.com/sql/t-sql/language-elements/string-comparison-assignment
-- The collation is that of UTF-8, and a computed column that is deterministic
-- can be indexed:
-- https://learn.microsoft.com/sql/relational-databases/collations/collation-and-unicode-support
-- https://learn.microsoft.com/sql/relational-databases/indexes/indexes-on-computed-columns
CREATE TABLE {schema}.streams (
    id            bigint        NOT NULL IDENTITY,
    [partition]   varchar(256)  COLLATE {collation} NOT NULL,
    name          varchar(1024) COLLATE {collation} NOT NULL,
    partition_key AS CAST([partition] AS varbinary(256)) PERSISTED NOT NULL,
    name_key      AS CAST(name AS varbinary(1024)) PERSISTED NOT NULL,
    type_key      AS CAST(LEFT(name, CHARINDEX('-', name + '-') - 1) AS varbinary(1024)) PERSISTED,
    [first]       bigint        NOT NULL DEFAULT 1, -- the lowest version that is not deleted
    version       bigint        NULL, -- these four: where it ended
    changeset     bigint        NULL,
    position      bigint        NULL,
    recorded_at   datetime2(6)  NULL,
    CONSTRAINT streams_by_id PRIMARY KEY CLUSTERED (id),
    CONSTRAINT streams_by_name UNIQUE (partition_key, name_key),
    CONSTRAINT streams_begin_above_zero CHECK ([first] > 0),
    CONSTRAINT streams_end_whole CHECK (
        version IS NULL AND changeset IS NULL AND position IS NULL AND recorded_at IS NULL
        OR version IS NOT NULL AND changeset IS NOT NULL AND position IS NOT NULL AND recorded_at IS NOT NULL)
);
