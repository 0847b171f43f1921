-- migrate 1
IF SCHEMA_ID(N'day]book''s') IS NULL
    EXEC (N'CREATE SCHEMA [day]]book''s]');
GO
-- migrate 2
-- One row: what the store is, and what the end of its log never falls below
-- when the last records of the log are deleted.
CREATE TABLE [day]]book's].store (
    only_row    bit              NOT NULL DEFAULT 1,
    version     int              NOT NULL DEFAULT 0, -- of the tables: see migrate.go
    id          uniqueidentifier NOT NULL DEFAULT NEWID(),
    created_at  datetime2(6)     NOT NULL DEFAULT SYSUTCDATETIME(),
    position    bigint           NOT NULL DEFAULT 0, -- of the last record that was deleted
    ordinal     bigint           NOT NULL DEFAULT 0, -- of the last changeset that was deleted
    recorded_at datetime2(6)     NOT NULL DEFAULT '0001-01-01T00:00:00', -- of the last deletion
    deletions   bigint           NOT NULL DEFAULT 0, -- how many were made
    CONSTRAINT store_has_one_row PRIMARY KEY (only_row),
    CONSTRAINT store_has_this_row CHECK (only_row = 1)
);

INSERT INTO [day]]book's].store DEFAULT VALUES;
GO
-- migrate 3
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
CREATE TABLE [day]]book's].streams (
    id            bigint        NOT NULL IDENTITY,
    [partition]   varchar(256)  COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    name          varchar(1024) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
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
GO
-- migrate 4
-- The log: one row an event, which never changes. Times are UTC.
CREATE TABLE [day]]book's].events (
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
    [type]        varchar(256)    COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    type_key      AS CAST([type] AS varbinary(256)) PERSISTED NOT NULL,
    content_type  varchar(4096)   COLLATE Latin1_General_100_BIN2_UTF8 NULL, -- null: application/json
    [json]        varchar(max)    COLLATE Latin1_General_100_BIN2_UTF8 NULL, -- the data, where it is JSON and a text can hold it,
    data          varbinary(max)  NULL,                     -- else here, byte for byte
    tags          varchar(max)    COLLATE Latin1_General_100_BIN2_UTF8 NULL, -- an array, as JSON
    context       varchar(max)    COLLATE Latin1_General_100_BIN2_UTF8 NULL, -- an object, as JSON
    metadata      varbinary(max)  NULL,                     -- of the context
    CONSTRAINT events_by_position PRIMARY KEY CLUSTERED (position),
    CONSTRAINT events_by_stream UNIQUE (stream_id, version),
    CONSTRAINT events_by_append UNIQUE (append_id, nth),
    CONSTRAINT events_have_a_stream FOREIGN KEY (stream_id) REFERENCES [day]]book's].streams (id)
);

CREATE INDEX events_by_type ON [day]]book's].events (type_key, position);
CREATE INDEX events_by_stream_type ON [day]]book's].events (stream_type, position);
-- An index of some rows: https://learn.microsoft.com/sql/relational-databases/indexes/create-filtered-indexes
CREATE INDEX events_by_partition ON [day]]book's].events (partition_key, position) WHERE partition_key <> 0x;
GO
-- migrate 5
-- What some changesets have besides events.
CREATE TABLE [day]]book's].changesets (
    ordinal   bigint         NOT NULL,
    metadata  varbinary(max) NULL,
    claims    varchar(max)   COLLATE Latin1_General_100_BIN2_UTF8 NULL, -- as JSON: [{"kind", "value"}], as releases
    releases  varchar(max)   COLLATE Latin1_General_100_BIN2_UTF8 NULL,
    refers_to varchar(max)   COLLATE Latin1_General_100_BIN2_UTF8 NULL, -- [{"partition", "name"}]
    CONSTRAINT changesets_by_ordinal PRIMARY KEY CLUSTERED (ordinal)
);
GO
-- migrate 6
-- Where the records with a tag stand.
CREATE TABLE [day]]book's].tags (
    tag_key  varbinary(256) NOT NULL, -- the bytes of its UTF-8
    position bigint         NOT NULL,
    CONSTRAINT tags_by_tag PRIMARY KEY CLUSTERED (tag_key, position)
);

CREATE INDEX tags_by_position ON [day]]book's].tags (position);
GO
-- migrate 7
-- Which stream holds a claim. It is found, and is unique, by a digest of its
-- parts, which are too long for an index; no text holds the byte between them.
-- https://learn.microsoft.com/sql/t-sql/functions/hashbytes-transact-sql
CREATE TABLE [day]]book's].claims (
    [partition] varchar(256)  COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    kind        varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    value       varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    stream_id   bigint        NOT NULL,
    claim_key   AS CAST(HASHBYTES('SHA2_256', CAST([partition] AS varbinary(max)) + 0x00 + CAST(kind AS varbinary(max)) + 0x00 + CAST(value AS varbinary(max)))
        AS binary(32)) PERSISTED NOT NULL,
    CONSTRAINT claims_are_unique PRIMARY KEY CLUSTERED (claim_key),
    CONSTRAINT claims_are_held_by_a_stream FOREIGN KEY (stream_id) REFERENCES [day]]book's].streams (id)
);

CREATE INDEX claims_by_stream ON [day]]book's].claims (stream_id);
GO
-- migrate 8
-- Which streams refer to which.
CREATE TABLE [day]]book's].stream_references (
    stream_id    bigint NOT NULL,
    to_stream_id bigint NOT NULL,
    CONSTRAINT stream_references_are_kept_once PRIMARY KEY CLUSTERED (stream_id, to_stream_id),
    CONSTRAINT stream_references_begin_at_a_stream FOREIGN KEY (stream_id) REFERENCES [day]]book's].streams (id),
    CONSTRAINT stream_references_end_at_a_stream FOREIGN KEY (to_stream_id) REFERENCES [day]]book's].streams (id)
);
GO
-- migrate 9
-- The deletions that were made, also those of streams that never were.
CREATE TABLE [day]]book's].deletions (
    number        bigint        NOT NULL,
    id            binary(16)    NOT NULL,
    [partition]   varchar(256)  COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    stream        varchar(1024) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    partition_key AS CAST([partition] AS varbinary(256)) PERSISTED NOT NULL,
    stream_key    AS CAST(stream AS varbinary(1024)) PERSISTED NOT NULL,
    asked_through bigint        NOT NULL,
    scrub         bit           NOT NULL,
    who           varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    why           varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
    recorded_at   datetime2(6)  NOT NULL,
    through       bigint        NOT NULL,
    changesets    bigint        NOT NULL,
    records       bigint        NOT NULL,
    CONSTRAINT deletions_by_number PRIMARY KEY CLUSTERED (number),
    CONSTRAINT deletions_by_id UNIQUE (id)
);

CREATE INDEX deletions_by_stream ON [day]]book's].deletions (stream_key, partition_key, number);
GO
-- migrate 10
-- Deleted events whose rows are still to be removed.
CREATE TABLE [day]]book's].hidden (
    stream_id bigint NOT NULL,
    through   bigint NOT NULL,
    CONSTRAINT hidden_by_stream PRIMARY KEY CLUSTERED (stream_id),
    CONSTRAINT hidden_has_a_stream FOREIGN KEY (stream_id) REFERENCES [day]]book's].streams (id)
);
GO
-- migrate 11
-- What the receipts of appends said whose events were deleted.
CREATE TABLE [day]]book's].deleted_changesets (
    append_id      binary(16)   NOT NULL,
    ordinal        bigint       NOT NULL,
    stream_id      bigint       NOT NULL,
    number         bigint       NOT NULL,
    [first]        bigint       NOT NULL,
    [count]        int          NOT NULL,
    first_position bigint       NOT NULL,
    last_position  bigint       NOT NULL,
    recorded_at    datetime2(6) NOT NULL,
    CONSTRAINT deleted_changesets_by_append PRIMARY KEY CLUSTERED (append_id, ordinal),
    CONSTRAINT deleted_changesets_have_a_stream FOREIGN KEY (stream_id) REFERENCES [day]]book's].streams (id)
);
GO
-- migrate 12
-- Where a stream ends, and the lowest version that is left of it.
-- https://learn.microsoft.com/sql/t-sql/statements/create-function-transact-sql#inline-table-valued-function
CREATE OR ALTER FUNCTION [day]]book's].head(@stream_id bigint) RETURNS TABLE
AS RETURN
    SELECT COALESCE(e.version, s.version) AS version, COALESCE(e.changeset, s.changeset) AS changeset, s.[first],
           COALESCE(e.position, s.position) AS position, COALESCE(e.recorded_at, s.recorded_at) AS recorded_at
    FROM [day]]book's].streams s
    OUTER APPLY (
        SELECT TOP (1) l.version, l.changeset, l.position, l.recorded_at
        FROM [day]]book's].events l
        WHERE l.stream_id = s.id
        ORDER BY l.version DESC
    ) e
    WHERE s.id = @stream_id;
GO
-- migrate 13
-- The highest position above another at which an event matches a query; 0 if
-- there is none. The query is an array of items {"types", "tags"}: an event
-- matches an item that names its type, or no types, and whose tags it all has;
-- it matches a query if it matches any item, or the query has none.
-- https://learn.microsoft.com/sql/t-sql/functions/openjson-transact-sql
CREATE OR ALTER FUNCTION [day]]book's].last_match(@items nvarchar(max), @above bigint) RETURNS bigint
AS
BEGIN
    DECLARE @item TABLE (n int NOT NULL PRIMARY KEY, types nvarchar(max) NULL, tags nvarchar(max) NULL);
    DECLARE @types TABLE (text varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL);
    DECLARE @tags TABLE (text varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL);
    DECLARE @n int = -1, @first varbinary(256), @found bigint, @last bigint = @above, @its_types nvarchar(max), @its_tags nvarchar(max);

    INSERT INTO @item (n, types, tags)
    SELECT CAST(i.[key] AS int), JSON_QUERY(i.value, '$.types'), JSON_QUERY(i.value, '$.tags') FROM OPENJSON(@items) i;
    IF @@ROWCOUNT = 0
        INSERT INTO @item (n) VALUES (0);

    WHILE 1 = 1
    BEGIN
        SELECT TOP (1) @n = i.n, @its_types = i.types, @its_tags = i.tags FROM @item i WHERE i.n > @n ORDER BY i.n;
        IF @@ROWCOUNT = 0
            BREAK;
        DELETE FROM @types;
        DELETE FROM @tags;
        -- A column of UTF-8 makes its bytes of a text; a variable would make
        -- those of the database's own collation.
        INSERT INTO @types (text) SELECT j.value FROM OPENJSON(@its_types) j;
        INSERT INTO @tags (text) SELECT j.value FROM OPENJSON(@its_tags) j;
        SET @first = NULL;
        SET @found = NULL;
        SELECT TOP (1) @first = CAST(g.text AS varbinary(256)) FROM @tags g;
        IF @first IS NOT NULL
            SELECT TOP (1) @found = t.position
            FROM [day]]book's].tags t JOIN [day]]book's].events e ON e.position = t.position
            WHERE t.tag_key = @first AND t.position > @last
              AND NOT EXISTS (SELECT 1 FROM @tags g WHERE NOT EXISTS (
                  SELECT 1 FROM [day]]book's].tags o WHERE o.tag_key = CAST(g.text AS varbinary(256)) AND o.position = t.position))
              AND (NOT EXISTS (SELECT 1 FROM @types k) OR EXISTS (SELECT 1 FROM @types k WHERE CAST(k.text AS varbinary(256)) = e.type_key))
              AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
            ORDER BY t.position DESC;
        ELSE IF EXISTS (SELECT 1 FROM @types)
            SELECT @found = MAX(m.position)
            FROM @types k
            CROSS APPLY (
                SELECT TOP (1) e.position
                FROM [day]]book's].events e
                WHERE e.type_key = CAST(k.text AS varbinary(256)) AND e.position > @last
                  AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
                ORDER BY e.position DESC
            ) m;
        ELSE
            SELECT TOP (1) @found = e.position
            FROM [day]]book's].events e
            WHERE e.position > @last
              AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
            ORDER BY e.position DESC;
        IF @found > @last
            SET @last = @found;
    END;
    RETURN CASE WHEN @last > @above THEN @last ELSE 0 END;
END;
GO
-- migrate 14
-- Waits until no other transaction changes the log, keeps others from it until
-- this one ends, and tells where the log ends. Whoever takes a turn must be one
-- statement that begins and ends the transaction: then no client that is slow,
-- or dies, can hold up the others.
--
-- The lock comes first, in a statement of its own: with row versions, each
-- statement sees what was committed when it began.
-- https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql
-- https://learn.microsoft.com/sql/t-sql/statements/set-transaction-isolation-level-transact-sql
CREATE OR ALTER PROCEDURE [day]]book's].take_turn
    @clock datetime2(6), @position bigint OUTPUT, @ordinal bigint OUTPUT, @recorded_at datetime2(6) OUTPUT, @deletions bigint OUTPUT
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    DECLARE @result int, @now datetime2(6);
    EXEC @result = sys.sp_getapplock @Resource = N'daybook day]book''s', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = -1;
    IF @result = -3
        THROW 51205, 'daybook: the wait for the turn to change the log was chosen as the victim of a deadlock', 1;
    IF @result < 0
        THROW 51000, 'daybook: the turn to change the log could not be had', 1;
    SELECT @position = CASE WHEN e.position > s.position THEN e.position ELSE s.position END,
           @ordinal = CASE WHEN e.ordinal > s.ordinal THEN e.ordinal ELSE s.ordinal END,
           @recorded_at = CASE WHEN e.recorded_at > s.recorded_at THEN e.recorded_at ELSE s.recorded_at END,
           @deletions = s.deletions
    FROM [day]]book's].store s
    OUTER APPLY (SELECT TOP (1) l.position, l.ordinal, l.recorded_at FROM [day]]book's].events l ORDER BY l.position DESC) e;
    SET @now = COALESCE(@clock, SYSUTCDATETIME());
    IF @now > @recorded_at
        SET @recorded_at = @now;
END;
GO
-- migrate 15
-- Adds to #refused which appends their conditions, references, releases and
-- claims keep from being stored, and why. Of an append only the first reason
-- counts. The tables are those of append.
-- https://learn.microsoft.com/sql/t-sql/statements/create-table-transact-sql#temporary-tables
CREATE OR ALTER PROCEDURE [day]]book's].check_besides @besides nvarchar(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;

    INSERT INTO #refused (append, why, found)
    SELECT m.append, 'condition', m.found
    FROM (
        SELECT j.append, [day]]book's].last_match(j.items, j.[after]) AS found
        FROM OPENJSON(@besides, '$.conditions') WITH (append int, [after] bigint, items nvarchar(max) AS JSON) j
        WHERE NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = j.append)
    ) m
    WHERE m.found > 0;

    -- What the same append creates counts.
    INSERT INTO #refused (append, why, changeset, partition_key, name_key)
    SELECT m.append, 'reference', m.changeset, m.partition_key, m.name_key
    FROM (
        SELECT c.append, g.changeset, g.partition_key, g.name_key, ROW_NUMBER() OVER (PARTITION BY c.append ORDER BY g.n) AS nth
        FROM #refers g
        JOIN #changesets c ON c.n = g.changeset
        WHERE NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = c.append)
          AND NOT EXISTS (
              SELECT 1 FROM #changesets o JOIN #streams s ON s.n = o.stream
              WHERE o.append = c.append AND s.partition_key = g.partition_key AND s.name_key = g.name_key)
          AND NOT EXISTS (
              SELECT 1 FROM [day]]book's].streams k CROSS APPLY [day]]book's].head(k.id) h
              WHERE k.partition_key = g.partition_key AND k.name_key = g.name_key AND h.[first] <= h.version)
    ) m
    WHERE m.nth = 1;

    -- The releases of an append are carried out before its claims.
    INSERT INTO #refused (append, why, changeset, kind, value, holder)
    SELECT m.append, 'claim', m.changeset, m.kind, m.value, m.holder
    FROM (
        SELECT c.append, w.changeset, CAST(w.kind AS varbinary(4096)) AS kind, CAST(w.value AS varbinary(4096)) AS value, h.name_key AS holder,
               ROW_NUMBER() OVER (PARTITION BY c.append ORDER BY w.n) AS nth
        FROM #claims w
        JOIN #changesets c ON c.n = w.changeset
        JOIN #streams s ON s.n = c.stream
        JOIN [day]]book's].claims k ON k.claim_key = w.claim_key
        JOIN [day]]book's].streams h ON h.id = k.stream_id
        WHERE (s.stream_id IS NULL OR k.stream_id <> s.stream_id)
          AND NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = c.append)
          AND (w.release = 1 OR NOT EXISTS (
              SELECT 1 FROM #claims o JOIN #changesets d ON d.n = o.changeset
              WHERE o.release = 1 AND o.claim_key = w.claim_key AND d.append = c.append))
    ) m
    WHERE m.nth = 1;
END;
GO
-- migrate 16
-- Keeps to which streams the changesets refer that are stored, and what they
-- have besides events. The tables are those of append; a changeset that is not
-- stored has no ordinal.
CREATE OR ALTER PROCEDURE [day]]book's].store_besides @besides nvarchar(max), @bytes varbinary(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;

    INSERT INTO [day]]book's].stream_references (stream_id, to_stream_id)
    SELECT DISTINCT s.stream_id, k.id
    FROM #refers g
    JOIN #changesets c ON c.n = g.changeset
    JOIN #streams s ON s.n = c.stream
    JOIN [day]]book's].streams k ON k.partition_key = g.partition_key AND k.name_key = g.name_key
    WHERE c.ordinal IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM [day]]book's].stream_references o WHERE o.stream_id = s.stream_id AND o.to_stream_id = k.id);

    INSERT INTO [day]]book's].changesets (ordinal, metadata, claims, releases, refers_to)
    SELECT c.ordinal, SUBSTRING(@bytes, c.metadata_at, c.metadata_size), j.claims, j.releases, j.refers_to
    FROM OPENJSON(@besides, '$.changesets')
        WITH (changeset int, claims nvarchar(max) AS JSON, releases nvarchar(max) AS JSON, refers_to nvarchar(max) AS JSON) j
    JOIN #changesets c ON c.n = j.changeset
    WHERE c.ordinal IS NOT NULL;
END;
GO
-- migrate 17
-- Stores appends, those that are refused left out. The appends of one call must
-- not depend on one another: what one demands must not hang on whether another
-- is stored. Changesets of one stream may stand in it more than once, if all
-- but the first expect nothing.
--
-- All but the last three arguments are arrays of objects, as JSON; what is
-- named in another array is named by n, from 1:
--
--   appends     {"n", "id"}                      ids are 32 digits, base 16
--   streams     {"n", "partition", "name"}       each once
--   changesets  {"n", "append", "stream", "expect", "place", "count", "detailed", "metadata_at", "metadata_size"}
--               expect: 0 anything, 1 no events, 2 events, 3 version place, 4 changeset place
--   events      {"changeset", "place", "nth", "id", "type", "content_type", "json", "data_at", "data_size",
--                "occurred_at", "tags", "context", "metadata_at", "metadata_size"}
--   bytes       what is no text: _at counts from 1
--   besides     {"conditions": [{"append", "after", "items"}], "references": [{"changeset", "partition", "name"}],
--                "releases": [{"changeset", "kind", "value"}], "claims": [{"changeset", "kind", "value"}],
--                "changesets": [{"changeset", "claims", "releases", "refers_to"}]}
--
-- Returns, when it is committed, where the log ended before; where each stream
-- ended before, from which it follows where everything went: in the order in
-- which it was given; and what was refused. A client that takes long to read
-- that holds up nobody.
--
-- What is read out of JSON is read before the turn:
-- https://learn.microsoft.com/sql/t-sql/functions/openjson-transact-sql
-- https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql#binary-styles
CREATE OR ALTER PROCEDURE [day]]book's].append
    @clock datetime2(6), @appends nvarchar(max), @streams nvarchar(max), @changesets nvarchar(max), @events nvarchar(max),
    @bytes varbinary(max), @tagged bit, @besides nvarchar(max)
AS
BEGIN
    -- Whatever fails, or is cancelled, leaves nothing behind:
    -- https://learn.microsoft.com/sql/t-sql/statements/set-xact-abort-transact-sql
    SET NOCOUNT, XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @position bigint, @ordinal bigint, @recorded_at datetime2(6), @deletions bigint;

    CREATE TABLE #appends (n int NOT NULL PRIMARY KEY, id binary(16) NOT NULL);
    CREATE TABLE #streams (
        n int NOT NULL PRIMARY KEY, [partition] varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, name varchar(1024) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)),
        stream_id bigint NULL, version bigint NOT NULL DEFAULT 0, changeset bigint NOT NULL DEFAULT 0, live bit NOT NULL DEFAULT 0);
    CREATE TABLE #changesets (
        n int NOT NULL PRIMARY KEY, append int NOT NULL, stream int NOT NULL, expect tinyint NOT NULL, place bigint NOT NULL, [count] int NOT NULL,
        detailed bit NOT NULL, metadata_at int NULL, metadata_size int NULL,
        position bigint NULL, ordinal bigint NULL, version bigint NULL, number bigint NULL); -- position and version: before its first event
    CREATE TABLE #events (
        changeset int NOT NULL, place int NOT NULL, nth int NOT NULL, id binary(16) NOT NULL,
        [type] varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, content_type varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NULL,
        [json] varchar(max) COLLATE Latin1_General_100_BIN2_UTF8 NULL, data_at int NULL, data_size int NULL, occurred_at datetime2(6) NULL,
        tags nvarchar(max) NULL, context nvarchar(max) NULL, metadata_at int NULL, metadata_size int NULL, PRIMARY KEY (changeset, place));
    CREATE TABLE #tags (changeset int NOT NULL, place int NOT NULL, text varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL);
    CREATE TABLE #refers (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, [partition] varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, name varchar(1024) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)));
    CREATE TABLE #claims (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, release bit NOT NULL,
        kind varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, value varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, claim_key binary(32) NULL);
    CREATE TABLE #refused (
        append int NOT NULL PRIMARY KEY, why varchar(10) NOT NULL, changeset int NULL, found bigint NULL,
        partition_key varbinary(256) NULL, name_key varbinary(1024) NULL,
        kind varbinary(4096) NULL, value varbinary(4096) NULL, holder varbinary(1024) NULL);

    INSERT INTO #appends (n, id)
    SELECT j.n, CONVERT(binary(16), j.id, 2) FROM OPENJSON(@appends) WITH (n int, id char(32)) j;
    INSERT INTO #streams (n, [partition], name)
    SELECT j.n, j.[partition], j.name FROM OPENJSON(@streams) WITH (n int, [partition] nvarchar(256), name nvarchar(1024)) j;
    INSERT INTO #changesets (n, append, stream, expect, place, [count], detailed, metadata_at, metadata_size)
    SELECT j.n, j.append, j.stream, j.expect, j.place, j.[count], j.detailed, j.metadata_at, j.metadata_size
    FROM OPENJSON(@changesets)
        WITH (n int, append int, stream int, expect tinyint, place bigint, [count] int, detailed bit, metadata_at int, metadata_size int) j;
    INSERT INTO #events (changeset, place, nth, id, [type], content_type, [json], data_at, data_size, occurred_at, tags, context, metadata_at, metadata_size)
    SELECT j.changeset, j.place, j.nth, CONVERT(binary(16), j.id, 2), j.[type], j.content_type, j.[json], j.data_at, j.data_size, j.occurred_at,
        j.tags, j.context, j.metadata_at, j.metadata_size
    FROM OPENJSON(@events) WITH (
        changeset int, place int, nth int, id char(32), [type] nvarchar(256), content_type nvarchar(max), [json] nvarchar(max), data_at int, data_size int,
        occurred_at datetime2(6), tags nvarchar(max) AS JSON, context nvarchar(max) AS JSON, metadata_at int, metadata_size int) j;
    IF @tagged = 1
        INSERT INTO #tags (changeset, place, text)
        SELECT e.changeset, e.place, j.value FROM #events e CROSS APPLY OPENJSON(e.tags) j;
    IF @besides IS NOT NULL
    BEGIN
        INSERT INTO #refers (n, changeset, [partition], name)
        SELECT CAST(v.[key] AS int), j.changeset, j.[partition], j.name
        FROM OPENJSON(@besides, '$.references') v
        CROSS APPLY OPENJSON(v.value) WITH (changeset int, [partition] nvarchar(256), name nvarchar(1024)) j;
        -- Releases first: their n is below zero.
        INSERT INTO #claims (n, changeset, release, kind, value)
        SELECT -1 - CAST(v.[key] AS int), j.changeset, 1, j.kind, j.value
        FROM OPENJSON(@besides, '$.releases') v CROSS APPLY OPENJSON(v.value) WITH (changeset int, kind nvarchar(max), value nvarchar(max)) j
        UNION ALL
        SELECT CAST(v.[key] AS int), j.changeset, 0, j.kind, j.value
        FROM OPENJSON(@besides, '$.claims') v CROSS APPLY OPENJSON(v.value) WITH (changeset int, kind nvarchar(max), value nvarchar(max)) j;
        UPDATE w SET claim_key = HASHBYTES('SHA2_256',
            CAST(s.[partition] AS varbinary(max)) + 0x00 + CAST(w.kind AS varbinary(max)) + 0x00 + CAST(w.value AS varbinary(max)))
        FROM #claims w JOIN #changesets c ON c.n = w.changeset JOIN #streams s ON s.n = c.stream;
    END;

    BEGIN TRANSACTION;
    EXEC [day]]book's].take_turn @clock, @position OUTPUT, @ordinal OUTPUT, @recorded_at OUTPUT, @deletions OUTPUT;

    UPDATE s SET stream_id = k.id, version = h.version, changeset = h.changeset, live = CASE WHEN h.[first] <= h.version THEN 1 ELSE 0 END
    FROM #streams s
    JOIN [day]]book's].streams k ON k.partition_key = s.partition_key AND k.name_key = s.name_key
    CROSS APPLY [day]]book's].head(k.id) h;

    INSERT INTO #refused (append, why)
    SELECT a.n, 'repeated' FROM #appends a
    WHERE EXISTS (SELECT 1 FROM [day]]book's].events e WHERE e.append_id = a.id)
       OR EXISTS (SELECT 1 FROM [day]]book's].deleted_changesets d WHERE d.append_id = a.id);
    INSERT INTO #refused (append, why, changeset)
    SELECT c.append, 'conflict', MIN(c.n)
    FROM #changesets c JOIN #streams s ON s.n = c.stream
    WHERE NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = c.append)
      AND (c.expect = 1 AND s.live = 1 OR c.expect = 2 AND s.live = 0 OR c.expect = 3 AND s.version <> c.place OR c.expect = 4 AND s.changeset <> c.place)
    GROUP BY c.append;
    IF @besides IS NOT NULL
        EXEC [day]]book's].check_besides @besides;

    IF EXISTS (SELECT 1 FROM #appends a WHERE NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = a.n))
    BEGIN
        UPDATE c SET position = @position + p.events_before, ordinal = @ordinal + p.nth, version = p.version_before, number = p.number
        FROM #changesets c
        JOIN (
            SELECT k.n, SUM(CAST(k.[count] AS bigint)) OVER (ORDER BY k.n ROWS UNBOUNDED PRECEDING) - k.[count] AS events_before,
                   ROW_NUMBER() OVER (ORDER BY k.n) AS nth,
                   s.version + SUM(CAST(k.[count] AS bigint)) OVER (PARTITION BY k.stream ORDER BY k.n ROWS UNBOUNDED PRECEDING) - k.[count] AS version_before,
                   s.changeset + ROW_NUMBER() OVER (PARTITION BY k.stream ORDER BY k.n) AS number
            FROM #changesets k JOIN #streams s ON s.n = k.stream
            WHERE NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = k.append)
        ) p ON p.n = c.n;

        INSERT INTO [day]]book's].streams ([partition], name)
        SELECT s.[partition], s.name FROM #streams s
        WHERE s.stream_id IS NULL AND EXISTS (SELECT 1 FROM #changesets c WHERE c.stream = s.n AND c.ordinal IS NOT NULL);
        IF @@ROWCOUNT > 0
            UPDATE s SET stream_id = k.id
            FROM #streams s JOIN [day]]book's].streams k ON k.partition_key = s.partition_key AND k.name_key = s.name_key
            WHERE s.stream_id IS NULL;

        INSERT INTO [day]]book's].events (position, stream_id, version, ordinal, changeset, place, [count], nth, append_id, id, recorded_at, occurred_at, detailed,
            partition_key, stream_type, [type], content_type, [json], data, tags, context, metadata)
        SELECT c.position + e.place + 1, k.id, c.version + e.place + 1, c.ordinal, c.number, e.place, c.[count], e.nth, a.id, e.id, @recorded_at, e.occurred_at, c.detailed,
            k.partition_key, k.type_key, e.[type], e.content_type, e.[json], SUBSTRING(@bytes, e.data_at, e.data_size), e.tags, e.context,
            SUBSTRING(@bytes, e.metadata_at, e.metadata_size)
        FROM #events e
        JOIN #changesets c ON c.n = e.changeset
        JOIN #appends a ON a.n = c.append
        JOIN #streams s ON s.n = c.stream
        JOIN [day]]book's].streams k ON k.id = s.stream_id
        WHERE c.ordinal IS NOT NULL;
        INSERT INTO [day]]book's].tags (tag_key, position)
        SELECT CAST(t.text AS varbinary(256)), c.position + t.place + 1
        FROM #tags t JOIN #changesets c ON c.n = t.changeset
        WHERE c.ordinal IS NOT NULL;

        IF @besides IS NOT NULL
        BEGIN
            DELETE k FROM [day]]book's].claims k
            JOIN #claims w ON w.claim_key = k.claim_key
            JOIN #changesets c ON c.n = w.changeset
            WHERE w.release = 1 AND c.ordinal IS NOT NULL;
            INSERT INTO [day]]book's].claims ([partition], kind, value, stream_id)
            SELECT s.[partition], w.kind, w.value, s.stream_id
            FROM #claims w JOIN #changesets c ON c.n = w.changeset JOIN #streams s ON s.n = c.stream
            WHERE w.release = 0 AND c.ordinal IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM [day]]book's].claims k WHERE k.claim_key = w.claim_key); -- the stream holds it already
            EXEC [day]]book's].store_besides @besides, @bytes;
        END;
    END;
    COMMIT TRANSACTION;

    SELECT @position AS position, @ordinal AS ordinal, @recorded_at AS recorded_at, @deletions AS deletions;
    SELECT s.n, s.version, s.changeset FROM #streams s ORDER BY s.n;
    SELECT r.append, r.why, r.changeset, h.version, h.changeset AS number, h.[first], h.position, h.recorded_at, r.found,
           r.partition_key, r.name_key, r.kind, r.value, r.holder
    FROM #refused r
    LEFT JOIN #changesets c ON c.n = r.changeset AND r.why = 'conflict'
    LEFT JOIN #streams s ON s.n = c.stream
    OUTER APPLY [day]]book's].head(s.stream_id) h;
END;
GO
-- migrate 18
-- Deletes the changesets of a stream that end at a version or below; 0 is all.
-- They are hidden at once; remove_hidden removes their rows. The keys are the
-- bytes of the texts, in UTF-8.
--
-- Returns, when it is committed, whether the deletion was made before, whether
-- it was refused, and where the stream ended.
CREATE OR ALTER PROCEDURE [day]]book's].delete_stream
    @clock datetime2(6), @id binary(16), @partition nvarchar(256), @stream nvarchar(1024), @partition_key varbinary(256), @stream_key varbinary(1024),
    @expect tinyint, @place bigint, @asked bigint, @scrub bit, @who nvarchar(max), @why nvarchar(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @position bigint, @ordinal bigint, @recorded_at datetime2(6), @deletions bigint, @repeated bit = 0, @refused bit = 0,
        @stream_id bigint, @version bigint, @changeset bigint, @first bigint, @head_position bigint, @head_recorded_at datetime2(6), @live bit = 0,
        @cut_version bigint, @cut_changeset bigint, @records bigint = 0, @changesets bigint = 0;

    BEGIN TRANSACTION;
    EXEC [day]]book's].take_turn @clock, @position OUTPUT, @ordinal OUTPUT, @recorded_at OUTPUT, @deletions OUTPUT;
    IF EXISTS (SELECT 1 FROM [day]]book's].deletions d WHERE d.id = @id)
        SET @repeated = 1;
    ELSE
    BEGIN
        SELECT @stream_id = s.id, @version = h.version, @changeset = h.changeset, @first = h.[first], @head_position = h.position,
               @head_recorded_at = h.recorded_at, @live = CASE WHEN h.[first] <= h.version THEN 1 ELSE 0 END
        FROM [day]]book's].streams s CROSS APPLY [day]]book's].head(s.id) h
        WHERE s.partition_key = @partition_key AND s.name_key = @stream_key;
        IF @expect = 1 AND @live = 1 OR @expect = 2 AND @live = 0 OR @expect = 3 AND COALESCE(@version, 0) <> @place
            OR @expect = 4 AND COALESCE(@changeset, 0) <> @place
            SET @refused = 1;
    END;
    IF @repeated = 0 AND @refused = 0
    BEGIN
        SELECT TOP (1) @cut_version = e.version, @cut_changeset = e.changeset
        FROM [day]]book's].events e
        WHERE e.stream_id = @stream_id AND e.version >= @first AND e.place = e.[count] - 1 AND (@asked = 0 OR e.version <= @asked)
        ORDER BY e.version DESC;
        IF @cut_version IS NOT NULL
        BEGIN
            SET @records = @cut_version - @first + 1;
            SELECT @changesets = @cut_changeset - e.changeset + 1 FROM [day]]book's].events e WHERE e.stream_id = @stream_id AND e.version = @first;
            UPDATE [day]]book's].hidden SET through = @cut_version WHERE stream_id = @stream_id;
            IF @@ROWCOUNT = 0
                INSERT INTO [day]]book's].hidden (stream_id, through) VALUES (@stream_id, @cut_version);
            UPDATE [day]]book's].streams SET [first] = @cut_version + 1 WHERE id = @stream_id;
            IF @cut_version = @version
            BEGIN
                UPDATE [day]]book's].streams
                SET version = @version, changeset = @changeset, position = @head_position, recorded_at = @head_recorded_at
                WHERE id = @stream_id;
                DELETE FROM [day]]book's].claims WHERE stream_id = @stream_id;
            END;
        END;
        UPDATE [day]]book's].store SET deletions = @deletions + 1, position = @position, ordinal = @ordinal, recorded_at = @recorded_at;
        INSERT INTO [day]]book's].deletions (number, id, [partition], stream, asked_through, scrub, who, why, recorded_at, through, changesets, records)
        VALUES (@deletions + 1, @id, @partition, @stream, @asked, @scrub, @who, @why, @recorded_at, COALESCE(@cut_version, @first - 1, 0), @changesets, @records);
    END;
    COMMIT TRANSACTION;

    SELECT @repeated AS repeated, @refused AS refused, COALESCE(@version, 0) AS version, COALESCE(@changeset, 0) AS changeset,
           COALESCE(@first, 0) AS [first], COALESCE(@head_position, 0) AS position, @head_recorded_at AS recorded_at;
END;
GO
-- migrate 19
-- Removes rows of hidden events of a stream, whole changesets, about as many as
-- asked. Returns how many, when it is committed; 0 when none are left. What
-- receipts need is kept.
--
-- The lock on the row of hidden lets no other deletion of the stream, and no
-- other removal, come between:
-- https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table
CREATE OR ALTER PROCEDURE [day]]book's].remove_hidden @stream_id bigint, @about int
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @through bigint, @cut bigint, @gone bigint = 0;

    BEGIN TRANSACTION;
    SELECT @through = h.through FROM [day]]book's].hidden h WITH (UPDLOCK, HOLDLOCK) WHERE h.stream_id = @stream_id;
    SELECT @cut = MAX(f.version - f.place + f.[count] - 1)
    FROM (
        SELECT TOP (@about) e.version, e.place, e.[count]
        FROM [day]]book's].events e
        WHERE e.stream_id = @stream_id AND e.version <= @through
        ORDER BY e.version
    ) f;
    IF @cut IS NULL
        DELETE FROM [day]]book's].hidden WHERE stream_id = @stream_id;
    ELSE
    BEGIN
        INSERT INTO [day]]book's].deleted_changesets (append_id, ordinal, stream_id, number, [first], [count], first_position, last_position, recorded_at)
        SELECT e.append_id, e.ordinal, e.stream_id, e.changeset, MIN(e.version), e.[count], MIN(e.position), MAX(e.position), e.recorded_at
        FROM [day]]book's].events e
        WHERE e.stream_id = @stream_id AND e.version <= @cut
        GROUP BY e.append_id, e.ordinal, e.stream_id, e.changeset, e.[count], e.recorded_at;
        DELETE t FROM [day]]book's].tags t JOIN [day]]book's].events e ON e.position = t.position WHERE e.stream_id = @stream_id AND e.version <= @cut;
        DELETE c FROM [day]]book's].changesets c JOIN [day]]book's].events e ON e.ordinal = c.ordinal
        WHERE e.stream_id = @stream_id AND e.version <= @cut AND e.detailed = 1;
        DELETE FROM [day]]book's].events WHERE stream_id = @stream_id AND version <= @cut;
        SET @gone = @@ROWCOUNT;
    END;
    COMMIT TRANSACTION;

    SELECT @gone AS gone;
END;
GO
-- migrate 20
-- Stores changesets as they are, if the log still ends where the caller has
-- looked: else nothing. The arguments are as in append, but for
--
--   streams     {"n", "partition", "name", "first"}   first: where it begins, if it never was
--   changesets  {"n", "append_id", "stream", "ordinal", "number", "first", "count", "recorded_at", "detailed", "metadata_at", "metadata_size"}
--   events      with "position"
--   besides     {"references", "changesets", "hands": [{"changeset", "kind", "value", "release"}]}
--               hands: how claims change hands, in their order
--
-- Returns, when it is committed, whether they are stored.
CREATE OR ALTER PROCEDURE [day]]book's].import
    @looked bigint, @streams nvarchar(max), @changesets nvarchar(max), @events nvarchar(max), @bytes varbinary(max), @besides nvarchar(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @position bigint, @ordinal bigint, @recorded_at datetime2(6), @deletions bigint, @stored bit = 0;

    CREATE TABLE #streams (
        n int NOT NULL PRIMARY KEY, [partition] varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, name varchar(1024) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)), [first] bigint NOT NULL, stream_id bigint NULL);
    CREATE TABLE #changesets (
        n int NOT NULL PRIMARY KEY, append_id binary(16) NOT NULL, stream int NOT NULL, ordinal bigint NOT NULL, number bigint NOT NULL, [first] bigint NOT NULL,
        [count] int NOT NULL, recorded_at datetime2(6) NOT NULL, detailed bit NOT NULL, metadata_at int NULL, metadata_size int NULL);
    CREATE TABLE #events (
        changeset int NOT NULL, place int NOT NULL, nth int NOT NULL, position bigint NOT NULL, id binary(16) NOT NULL,
        [type] varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, content_type varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NULL,
        [json] varchar(max) COLLATE Latin1_General_100_BIN2_UTF8 NULL, data_at int NULL, data_size int NULL, occurred_at datetime2(6) NULL,
        tags nvarchar(max) NULL, context nvarchar(max) NULL, metadata_at int NULL, metadata_size int NULL, PRIMARY KEY (changeset, place));
    CREATE TABLE #tags (text varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, position bigint NOT NULL);
    CREATE TABLE #refers (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, [partition] varchar(256) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, name varchar(1024) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)));
    CREATE TABLE #hands (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, release bit NOT NULL,
        kind varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, value varchar(4096) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL, claim_key binary(32) NULL);

    INSERT INTO #streams (n, [partition], name, [first])
    SELECT j.n, j.[partition], j.name, j.[first] FROM OPENJSON(@streams) WITH (n int, [partition] nvarchar(256), name nvarchar(1024), [first] bigint) j;
    INSERT INTO #changesets (n, append_id, stream, ordinal, number, [first], [count], recorded_at, detailed, metadata_at, metadata_size)
    SELECT j.n, CONVERT(binary(16), j.append_id, 2), j.stream, j.ordinal, j.number, j.[first], j.[count], j.recorded_at, j.detailed, j.metadata_at, j.metadata_size
    FROM OPENJSON(@changesets) WITH (
        n int, append_id char(32), stream int, ordinal bigint, number bigint, [first] bigint, [count] int, recorded_at datetime2(6),
        detailed bit, metadata_at int, metadata_size int) j;
    INSERT INTO #events (changeset, place, nth, position, id, [type], content_type, [json], data_at, data_size, occurred_at, tags, context, metadata_at, metadata_size)
    SELECT j.changeset, j.place, j.nth, j.position, CONVERT(binary(16), j.id, 2), j.[type], j.content_type, j.[json], j.data_at, j.data_size, j.occurred_at,
        j.tags, j.context, j.metadata_at, j.metadata_size
    FROM OPENJSON(@events) WITH (
        changeset int, place int, nth int, position bigint, id char(32), [type] nvarchar(256), content_type nvarchar(max), [json] nvarchar(max), data_at int, data_size int,
        occurred_at datetime2(6), tags nvarchar(max) AS JSON, context nvarchar(max) AS JSON, metadata_at int, metadata_size int) j;
    INSERT INTO #tags (text, position)
    SELECT j.value, e.position FROM #events e CROSS APPLY OPENJSON(e.tags) j;
    INSERT INTO #refers (n, changeset, [partition], name)
    SELECT CAST(v.[key] AS int), j.changeset, j.[partition], j.name
    FROM OPENJSON(@besides, '$.references') v
    CROSS APPLY OPENJSON(v.value) WITH (changeset int, [partition] nvarchar(256), name nvarchar(1024)) j;
    INSERT INTO #hands (n, changeset, release, kind, value)
    SELECT CAST(v.[key] AS int), j.changeset, COALESCE(j.release, 0), j.kind, j.value
    FROM OPENJSON(@besides, '$.hands') v CROSS APPLY OPENJSON(v.value) WITH (changeset int, release bit, kind nvarchar(max), value nvarchar(max)) j;
    UPDATE w SET claim_key = HASHBYTES('SHA2_256',
        CAST(s.[partition] AS varbinary(max)) + 0x00 + CAST(w.kind AS varbinary(max)) + 0x00 + CAST(w.value AS varbinary(max)))
    FROM #hands w JOIN #changesets c ON c.n = w.changeset JOIN #streams s ON s.n = c.stream;

    BEGIN TRANSACTION;
    EXEC [day]]book's].take_turn NULL, @position OUTPUT, @ordinal OUTPUT, @recorded_at OUTPUT, @deletions OUTPUT;
    IF @position = @looked
    BEGIN
        INSERT INTO [day]]book's].streams ([partition], name, [first])
        SELECT s.[partition], s.name, s.[first] FROM #streams s
        WHERE NOT EXISTS (SELECT 1 FROM [day]]book's].streams k WHERE k.partition_key = s.partition_key AND k.name_key = s.name_key);
        UPDATE s SET stream_id = k.id
        FROM #streams s JOIN [day]]book's].streams k ON k.partition_key = s.partition_key AND k.name_key = s.name_key;

        INSERT INTO [day]]book's].events (position, stream_id, version, ordinal, changeset, place, [count], nth, append_id, id, recorded_at, occurred_at, detailed,
            partition_key, stream_type, [type], content_type, [json], data, tags, context, metadata)
        SELECT e.position, k.id, c.[first] + e.place, c.ordinal, c.number, e.place, c.[count], e.nth, c.append_id, e.id, c.recorded_at, e.occurred_at, c.detailed,
            k.partition_key, k.type_key, e.[type], e.content_type, e.[json], SUBSTRING(@bytes, e.data_at, e.data_size), e.tags, e.context,
            SUBSTRING(@bytes, e.metadata_at, e.metadata_size)
        FROM #events e
        JOIN #changesets c ON c.n = e.changeset
        JOIN #streams s ON s.n = c.stream
        JOIN [day]]book's].streams k ON k.id = s.stream_id;
        INSERT INTO [day]]book's].tags (tag_key, position)
        SELECT CAST(t.text AS varbinary(256)), t.position FROM #tags t;

        -- A claim may change hands more than once: the last one has it.
        DELETE k FROM [day]]book's].claims k WHERE EXISTS (SELECT 1 FROM #hands w WHERE w.claim_key = k.claim_key);
        INSERT INTO [day]]book's].claims ([partition], kind, value, stream_id)
        SELECT s.[partition], w.kind, w.value, s.stream_id
        FROM #hands w JOIN #changesets c ON c.n = w.changeset JOIN #streams s ON s.n = c.stream
        WHERE w.release = 0 AND NOT EXISTS (SELECT 1 FROM #hands o WHERE o.claim_key = w.claim_key AND o.n > w.n);
        EXEC [day]]book's].store_besides @besides, @bytes;
        SET @stored = 1;
    END;
    COMMIT TRANSACTION;

    SELECT @stored AS stored;
END;
GO
-- migrate 21
-- The records of the log as analysts read them: data as text where it is JSON,
-- and nothing that was deleted. See docs/sqlserver.md.
CREATE OR ALTER VIEW [day]]book's].records
AS
SELECT e.position, s.[partition], s.name AS stream, LEFT(s.name, CHARINDEX('-', s.name + '-') - 1) AS stream_type, e.version, e.changeset, e.[type],
       e.[json] AS data, e.tags, COALESCE(e.occurred_at, e.recorded_at) AS occurred_at, e.recorded_at, e.context,
       LOWER(CONVERT(char(32), e.id, 2)) AS id, LOWER(CONVERT(char(32), e.append_id, 2)) AS append_id, COALESCE(e.content_type, 'application/json') AS content_type
FROM [day]]book's].events e
JOIN [day]]book's].streams s ON s.id = e.stream_id
WHERE NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through);
GO
-- migrate 22
UPDATE [day]]book's].store SET version = 1;
GO
-- server
SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS int), CAST(SERVERPROPERTY('EngineEdition') AS int), DB_NAME(),
	CAST(d.compatibility_level AS int), d.is_read_committed_snapshot_on
FROM sys.databases d WHERE d.database_id = DB_ID()
GO
-- migration turn
SET XACT_ABORT ON;
DECLARE @result int;
EXEC @result = sys.sp_getapplock @Resource = N'daybook migration', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 60000;
IF @result < 0
    THROW 51000, 'daybook: another program has been changing the tables for a minute', 1;
GO
-- append
EXEC [day]]book's].append @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8
GO
-- import
EXEC [day]]book's].import @p1, @p2, @p3, @p4, @p5, @p6
GO
-- stands
SELECT CASE WHEN EXISTS (SELECT 1 FROM [day]]book's].events e WHERE e.position = @p2 AND e.append_id = @p1)
			OR EXISTS (SELECT 1 FROM [day]]book's].deleted_changesets d WHERE d.append_id = @p1 AND d.last_position = @p2) THEN 1 ELSE 0 END
GO
-- delete stream
EXEC [day]]book's].delete_stream @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12
GO
-- remove hidden
EXEC [day]]book's].remove_hidden @p1, @p2
GO
-- receipts
SELECT r.append_id, r.ordinal, s.partition_key, s.name_key, r.number, r.[first], r.[count], r.first_position, r.last_position, r.recorded_at
		FROM (
			SELECT e.append_id, e.ordinal, e.stream_id, e.changeset AS number, MIN(e.version) AS [first], MAX(e.[count]) AS [count],
				MIN(e.position) AS first_position, MAX(e.position) AS last_position, e.recorded_at
			FROM [day]]book's].events e WHERE e.append_id IN (SELECT CONVERT(binary(16), j.value, 2) FROM OPENJSON(@p1) j)
			GROUP BY e.append_id, e.ordinal, e.stream_id, e.changeset, e.recorded_at
			UNION
			SELECT d.append_id, d.ordinal, d.stream_id, d.number, d.[first], d.[count], d.first_position, d.last_position, d.recorded_at
			FROM [day]]book's].deleted_changesets d WHERE d.append_id IN (SELECT CONVERT(binary(16), j.value, 2) FROM OPENJSON(@p1) j)
		) r
		JOIN [day]]book's].streams s ON s.id = r.stream_id
		ORDER BY r.append_id, r.ordinal
GO
-- known
SELECT e.append_id, MAX(e.nth) FROM [day]]book's].events e WHERE e.append_id IN (SELECT CONVERT(binary(16), j.value, 2) FROM OPENJSON(@p1) j) GROUP BY e.append_id
GO
-- head
SELECT h.version, h.changeset, h.[first], h.position, h.recorded_at
		FROM [day]]book's].streams s CROSS APPLY [day]]book's].head(s.id) h WHERE s.partition_key = CAST(@p1 AS varbinary(256)) AND s.name_key = @p2
GO
-- end
SELECT CASE WHEN e.position > s.position THEN e.position ELSE s.position END, CASE WHEN e.ordinal > s.ordinal THEN e.ordinal ELSE s.ordinal END,
			CASE WHEN e.recorded_at > s.recorded_at THEN e.recorded_at ELSE s.recorded_at END
		FROM [day]]book's].store s
		OUTER APPLY (SELECT TOP (1) l.position, l.ordinal, l.recorded_at FROM [day]]book's].events l ORDER BY l.position DESC) e
GO
-- changesets
SELECT c.ordinal, c.metadata, CAST(c.claims AS varbinary(max)), CAST(c.releases AS varbinary(max)), CAST(c.refers_to AS varbinary(max))
		FROM [day]]book's].changesets c WHERE c.ordinal IN (SELECT CAST(j.value AS bigint) FROM OPENJSON(@p1) j)
GO
-- claim
SELECT s.name_key FROM [day]]book's].claims k JOIN [day]]book's].streams s ON s.id = k.stream_id WHERE k.claim_key = @p1
GO
-- deletion
SELECT d.number, d.id, d.partition_key, d.stream_key, d.asked_through, d.scrub, CAST(d.who AS varbinary(4096)), CAST(d.why AS varbinary(4096)),
			d.recorded_at, d.through, d.changesets, d.records,
			CASE WHEN d.scrub = 1 AND NOT EXISTS (
				SELECT 1 FROM [day]]book's].hidden h JOIN [day]]book's].streams s ON s.id = h.stream_id
				WHERE s.partition_key = d.partition_key AND s.name_key = d.stream_key) THEN 1 ELSE 0 END
		FROM [day]]book's].deletions d WHERE d.id = @p1
GO
-- deletions
SELECT TOP (@p4) d.number, d.id, d.partition_key, d.stream_key, d.asked_through, d.scrub, CAST(d.who AS varbinary(4096)), CAST(d.why AS varbinary(4096)),
			d.recorded_at, d.through, d.changesets, d.records,
			CASE WHEN d.scrub = 1 AND NOT EXISTS (
				SELECT 1 FROM [day]]book's].hidden h JOIN [day]]book's].streams s ON s.id = h.stream_id
				WHERE s.partition_key = d.partition_key AND s.name_key = d.stream_key) THEN 1 ELSE 0 END
		FROM [day]]book's].deletions d
		WHERE d.number > @p1 AND (@p2 = 0x OR d.stream_key = @p2 AND d.partition_key = @p3) ORDER BY d.number
GO
-- hidden streams
SELECT h.stream_id FROM [day]]book's].hidden h ORDER BY h.stream_id
GO
-- counts
SELECT COUNT_BIG(DISTINCT e.stream_id), COUNT_BIG(CASE WHEN e.place = 0 THEN 1 END), COUNT_BIG(*), COALESCE(MAX(e.changeset), 0),
			(SELECT COALESCE(SUM(a.total_pages), 0) * 8192
			 FROM sys.tables t JOIN sys.partitions p ON p.object_id = t.object_id JOIN sys.allocation_units a ON a.container_id IN (p.partition_id, p.hobt_id)
			 WHERE t.schema_id = SCHEMA_ID(N'day]book''s'))
		FROM [day]]book's].events e WHERE NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
GO
-- read stream
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].streams s JOIN [day]]book's].events e ON e.stream_id = s.id WHERE s.partition_key = CAST(@p2 AS varbinary(1024)) AND s.name_key = CAST(@p3 AS varbinary(1024)) AND e.version >= @p4 AND e.version <= @p5 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) ORDER BY e.version ASC
GO
-- read stream backwards, up to a time
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].streams s JOIN [day]]book's].events e ON e.stream_id = s.id WHERE s.partition_key = CAST(@p2 AS varbinary(1024)) AND s.name_key = CAST(@p3 AS varbinary(1024)) AND e.version >= @p4 AND e.version <= @p5 AND e.recorded_at <= CONVERT(datetime2(6), @p6, 126) AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) ORDER BY e.version DESC
GO
-- read log, all
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id WHERE e.position >= @p2 AND e.position <= @p3 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) ORDER BY e.position ASC
GO
-- read log, backwards, up to a time
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id WHERE e.position >= @p2 AND e.position <= @p3 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.recorded_at <= CONVERT(datetime2(6), @p4, 126) ORDER BY e.position DESC
GO
-- read log, types and tags
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id JOIN (SELECT b.position FROM (SELECT TOP (@p2) e.position FROM [day]]book's].events e WHERE e.type_key = CAST(@p3 AS varbinary(1024)) AND e.position >= @p4 AND e.position <= @p5 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND ((1 = 1 AND e.type_key IN (CAST(@p6 AS varbinary(1024)), CAST(@p7 AS varbinary(1024))))) ORDER BY e.position ASC) b UNION SELECT b.position FROM (SELECT TOP (@p8) e.position FROM [day]]book's].events e WHERE e.type_key = CAST(@p9 AS varbinary(1024)) AND e.position >= @p10 AND e.position <= @p11 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND ((1 = 1 AND e.type_key IN (CAST(@p12 AS varbinary(1024)), CAST(@p13 AS varbinary(1024))))) ORDER BY e.position ASC) b UNION SELECT b.position FROM (SELECT TOP (@p14) t.position FROM [day]]book's].tags t JOIN [day]]book's].events e ON e.position = t.position WHERE t.tag_key = CAST(@p15 AS varbinary(1024)) AND t.position >= @p16 AND t.position <= @p17 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND ((1 = 1 AND e.type_key IN (CAST(@p18 AS varbinary(1024))) AND EXISTS (SELECT 1 FROM [day]]book's].tags g WHERE g.position = e.position AND g.tag_key = CAST(@p19 AS varbinary(1024))) AND EXISTS (SELECT 1 FROM [day]]book's].tags g WHERE g.position = e.position AND g.tag_key = CAST(@p20 AS varbinary(1024))))) ORDER BY t.position ASC) b UNION SELECT b.position FROM (SELECT TOP (@p21) t.position FROM [day]]book's].tags t JOIN [day]]book's].events e ON e.position = t.position WHERE t.tag_key = CAST(@p22 AS varbinary(1024)) AND t.position >= @p23 AND t.position <= @p24 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND ((1 = 1 AND EXISTS (SELECT 1 FROM [day]]book's].tags g WHERE g.position = e.position AND g.tag_key = CAST(@p25 AS varbinary(1024))))) ORDER BY t.position ASC) b) p ON p.position = e.position ORDER BY e.position ASC
GO
-- read log, types and tags of streams
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id JOIN (SELECT b.position FROM (SELECT TOP (@p2) e.position FROM [day]]book's].events e WHERE e.type_key = CAST(@p3 AS varbinary(1024)) AND e.position >= @p4 AND e.position <= @p5 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.partition_key IN (CAST(@p6 AS varbinary(1024))) AND e.stream_type IN (CAST(@p7 AS varbinary(1024))) AND ((1 = 1 AND e.type_key IN (CAST(@p8 AS varbinary(1024)), CAST(@p9 AS varbinary(1024))))) ORDER BY e.position ASC) b UNION SELECT b.position FROM (SELECT TOP (@p10) e.position FROM [day]]book's].events e WHERE e.type_key = CAST(@p11 AS varbinary(1024)) AND e.position >= @p12 AND e.position <= @p13 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.partition_key IN (CAST(@p14 AS varbinary(1024))) AND e.stream_type IN (CAST(@p15 AS varbinary(1024))) AND ((1 = 1 AND e.type_key IN (CAST(@p16 AS varbinary(1024)), CAST(@p17 AS varbinary(1024))))) ORDER BY e.position ASC) b) p ON p.position = e.position ORDER BY e.position ASC
GO
-- read log, types of streams
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id JOIN (SELECT b.position FROM (SELECT TOP (@p2) e.position FROM [day]]book's].events e WHERE e.stream_type = CAST(@p3 AS varbinary(1024)) AND e.position >= @p4 AND e.position <= @p5 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.stream_type IN (CAST(@p6 AS varbinary(1024)), CAST(@p7 AS varbinary(1024))) ORDER BY e.position ASC) b UNION SELECT b.position FROM (SELECT TOP (@p8) e.position FROM [day]]book's].events e WHERE e.stream_type = CAST(@p9 AS varbinary(1024)) AND e.position >= @p10 AND e.position <= @p11 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.stream_type IN (CAST(@p12 AS varbinary(1024)), CAST(@p13 AS varbinary(1024))) ORDER BY e.position ASC) b) p ON p.position = e.position ORDER BY e.position ASC
GO
-- read log, partitions
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id JOIN (SELECT b.position FROM (SELECT TOP (@p2) e.position FROM [day]]book's].events e WHERE e.partition_key <> 0x AND e.partition_key = CAST(@p3 AS varbinary(1024)) AND e.position >= @p4 AND e.position <= @p5 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.partition_key IN (CAST(@p6 AS varbinary(1024)), CAST(@p7 AS varbinary(1024))) ORDER BY e.position ASC) b UNION SELECT b.position FROM (SELECT TOP (@p8) e.position FROM [day]]book's].events e WHERE e.partition_key <> 0x AND e.partition_key = CAST(@p9 AS varbinary(1024)) AND e.position >= @p10 AND e.position <= @p11 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.partition_key IN (CAST(@p12 AS varbinary(1024)), CAST(@p13 AS varbinary(1024))) ORDER BY e.position ASC) b) p ON p.position = e.position ORDER BY e.position ASC
GO
-- read log, the default partition
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id WHERE e.position >= @p2 AND e.position <= @p3 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.partition_key IN (CAST(@p4 AS varbinary(1024))) ORDER BY e.position ASC
GO
-- read log, one item selects all
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id WHERE e.position >= @p2 AND e.position <= @p3 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND ((1 = 1 AND e.type_key IN (CAST(@p4 AS varbinary(1024)), CAST(@p5 AS varbinary(1024)))) OR (1 = 1)) ORDER BY e.position ASC
GO
-- read log, more items than are served
SELECT TOP (@p1) e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata FROM [day]]book's].events e JOIN [day]]book's].streams s ON s.id = e.stream_id JOIN (SELECT b.position FROM (SELECT TOP (@p2) e.position FROM [day]]book's].events e WHERE e.stream_type = CAST(@p3 AS varbinary(1024)) AND e.position >= @p4 AND e.position <= @p5 AND NOT EXISTS (SELECT 1 FROM [day]]book's].hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through) AND e.stream_type IN (CAST(@p6 AS varbinary(1024))) ORDER BY e.position ASC) b) p ON p.position = e.position ORDER BY e.position ASC
GO
-- list streams
SELECT TOP (@p1) s.partition_key, s.name_key, h.version, h.changeset, h.[first], h.position, h.recorded_at FROM [day]]book's].streams s CROSS APPLY [day]]book's].head(s.id) h WHERE h.[first] <= h.version AND s.partition_key >= CAST(@p2 AS varbinary(1024)) AND (s.partition_key > CAST(@p2 AS varbinary(1024)) OR s.name_key > CAST(@p3 AS varbinary(1024))) AND s.partition_key IN (CAST(@p4 AS varbinary(1024)), CAST(@p5 AS varbinary(1024))) AND s.type_key IN (CAST(@p6 AS varbinary(1024))) ORDER BY s.partition_key, s.name_key
GO
