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
CREATE OR ALTER PROCEDURE {schema}.append
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
        n int NOT NULL PRIMARY KEY, [partition] varchar(256) COLLATE {collation} NOT NULL, name varchar(1024) COLLATE {collation} NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)),
        stream_id bigint NULL, version bigint NOT NULL DEFAULT 0, changeset bigint NOT NULL DEFAULT 0, live bit NOT NULL DEFAULT 0);
    CREATE TABLE #changesets (
        n int NOT NULL PRIMARY KEY, append int NOT NULL, stream int NOT NULL, expect tinyint NOT NULL, place bigint NOT NULL, [count] int NOT NULL,
        detailed bit NOT NULL, metadata_at int NULL, metadata_size int NULL,
        position bigint NULL, ordinal bigint NULL, version bigint NULL, number bigint NULL); -- position and version: before its first event
    CREATE TABLE #events (
        changeset int NOT NULL, place int NOT NULL, nth int NOT NULL, id binary(16) NOT NULL,
        [type] varchar(256) COLLATE {collation} NOT NULL, content_type varchar(4096) COLLATE {collation} NULL,
        [json] varchar(max) COLLATE {collation} NULL, data_at int NULL, data_size int NULL, occurred_at datetime2(6) NULL,
        tags nvarchar(max) NULL, context nvarchar(max) NULL, metadata_at int NULL, metadata_size int NULL, PRIMARY KEY (changeset, place));
    CREATE TABLE #tags (changeset int NOT NULL, place int NOT NULL, text varchar(256) COLLATE {collation} NOT NULL);
    CREATE TABLE #refers (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, [partition] varchar(256) COLLATE {collation} NOT NULL, name varchar(1024) COLLATE {collation} NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)));
    CREATE TABLE #claims (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, release bit NOT NULL,
        kind varchar(4096) COLLATE {collation} NOT NULL, value varchar(4096) COLLATE {collation} NOT NULL, claim_key binary(32) NULL);
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
    EXEC {schema}.take_turn @clock, @position OUTPUT, @ordinal OUTPUT, @recorded_at OUTPUT, @deletions OUTPUT;

    UPDATE s SET stream_id = k.id, version = h.version, changeset = h.changeset, live = CASE WHEN h.[first] <= h.version THEN 1 ELSE 0 END
    FROM #streams s
    JOIN {schema}.streams k ON k.partition_key = s.partition_key AND k.name_key = s.name_key
    CROSS APPLY {schema}.head(k.id) h;

    INSERT INTO #refused (append, why)
    SELECT a.n, 'repeated' FROM #appends a
    WHERE EXISTS (SELECT 1 FROM {schema}.events e WHERE e.append_id = a.id)
       OR EXISTS (SELECT 1 FROM {schema}.deleted_changesets d WHERE d.append_id = a.id);
    INSERT INTO #refused (append, why, changeset)
    SELECT c.append, 'conflict', MIN(c.n)
    FROM #changesets c JOIN #streams s ON s.n = c.stream
    WHERE NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = c.append)
      AND (c.expect = 1 AND s.live = 1 OR c.expect = 2 AND s.live = 0 OR c.expect = 3 AND s.version <> c.place OR c.expect = 4 AND s.changeset <> c.place)
    GROUP BY c.append;
    IF @besides IS NOT NULL
        EXEC {schema}.check_besides @besides;

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

        INSERT INTO {schema}.streams ([partition], name)
        SELECT s.[partition], s.name FROM #streams s
        WHERE s.stream_id IS NULL AND EXISTS (SELECT 1 FROM #changesets c WHERE c.stream = s.n AND c.ordinal IS NOT NULL);
        IF @@ROWCOUNT > 0
            UPDATE s SET stream_id = k.id
            FROM #streams s JOIN {schema}.streams k ON k.partition_key = s.partition_key AND k.name_key = s.name_key
            WHERE s.stream_id IS NULL;

        INSERT INTO {schema}.events (position, stream_id, version, ordinal, changeset, place, [count], nth, append_id, id, recorded_at, occurred_at, detailed,
            partition_key, stream_type, [type], content_type, [json], data, tags, context, metadata)
        SELECT c.position + e.place + 1, k.id, c.version + e.place + 1, c.ordinal, c.number, e.place, c.[count], e.nth, a.id, e.id, @recorded_at, e.occurred_at, c.detailed,
            k.partition_key, k.type_key, e.[type], e.content_type, e.[json], SUBSTRING(@bytes, e.data_at, e.data_size), e.tags, e.context,
            SUBSTRING(@bytes, e.metadata_at, e.metadata_size)
        FROM #events e
        JOIN #changesets c ON c.n = e.changeset
        JOIN #appends a ON a.n = c.append
        JOIN #streams s ON s.n = c.stream
        JOIN {schema}.streams k ON k.id = s.stream_id
        WHERE c.ordinal IS NOT NULL;
        INSERT INTO {schema}.tags (tag_key, position)
        SELECT CAST(t.text AS varbinary(256)), c.position + t.place + 1
        FROM #tags t JOIN #changesets c ON c.n = t.changeset
        WHERE c.ordinal IS NOT NULL;

        IF @besides IS NOT NULL
        BEGIN
            DELETE k FROM {schema}.claims k
            JOIN #claims w ON w.claim_key = k.claim_key
            JOIN #changesets c ON c.n = w.changeset
            WHERE w.release = 1 AND c.ordinal IS NOT NULL;
            INSERT INTO {schema}.claims ([partition], kind, value, stream_id)
            SELECT s.[partition], w.kind, w.value, s.stream_id
            FROM #claims w JOIN #changesets c ON c.n = w.changeset JOIN #streams s ON s.n = c.stream
            WHERE w.release = 0 AND c.ordinal IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM {schema}.claims k WHERE k.claim_key = w.claim_key); -- the stream holds it already
            EXEC {schema}.store_besides @besides, @bytes;
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
    OUTER APPLY {schema}.head(s.stream_id) h;
END;
