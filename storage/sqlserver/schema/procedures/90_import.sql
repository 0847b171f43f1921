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
CREATE OR ALTER PROCEDURE {schema}.import
    @looked bigint, @streams nvarchar(max), @changesets nvarchar(max), @events nvarchar(max), @bytes varbinary(max), @besides nvarchar(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @position bigint, @ordinal bigint, @recorded_at datetime2(6), @deletions bigint, @stored bit = 0;

    CREATE TABLE #streams (
        n int NOT NULL PRIMARY KEY, [partition] varchar(256) COLLATE {collation} NOT NULL, name varchar(1024) COLLATE {collation} NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)), [first] bigint NOT NULL, stream_id bigint NULL);
    CREATE TABLE #changesets (
        n int NOT NULL PRIMARY KEY, append_id binary(16) NOT NULL, stream int NOT NULL, ordinal bigint NOT NULL, number bigint NOT NULL, [first] bigint NOT NULL,
        [count] int NOT NULL, recorded_at datetime2(6) NOT NULL, detailed bit NOT NULL, metadata_at int NULL, metadata_size int NULL);
    CREATE TABLE #events (
        changeset int NOT NULL, place int NOT NULL, nth int NOT NULL, position bigint NOT NULL, id binary(16) NOT NULL,
        [type] varchar(256) COLLATE {collation} NOT NULL, content_type varchar(4096) COLLATE {collation} NULL,
        [json] varchar(max) COLLATE {collation} NULL, data_at int NULL, data_size int NULL, occurred_at datetime2(6) NULL,
        tags nvarchar(max) NULL, context nvarchar(max) NULL, metadata_at int NULL, metadata_size int NULL, PRIMARY KEY (changeset, place));
    CREATE TABLE #tags (text varchar(256) COLLATE {collation} NOT NULL, position bigint NOT NULL);
    CREATE TABLE #refers (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, [partition] varchar(256) COLLATE {collation} NOT NULL, name varchar(1024) COLLATE {collation} NOT NULL,
        partition_key AS CAST([partition] AS varbinary(256)), name_key AS CAST(name AS varbinary(1024)));
    CREATE TABLE #hands (
        n int NOT NULL PRIMARY KEY, changeset int NOT NULL, release bit NOT NULL,
        kind varchar(4096) COLLATE {collation} NOT NULL, value varchar(4096) COLLATE {collation} NOT NULL, claim_key binary(32) NULL);

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
    EXEC {schema}.take_turn NULL, @position OUTPUT, @ordinal OUTPUT, @recorded_at OUTPUT, @deletions OUTPUT;
    IF @position = @looked
    BEGIN
        INSERT INTO {schema}.streams ([partition], name, [first])
        SELECT s.[partition], s.name, s.[first] FROM #streams s
        WHERE NOT EXISTS (SELECT 1 FROM {schema}.streams k WHERE k.partition_key = s.partition_key AND k.name_key = s.name_key);
        UPDATE s SET stream_id = k.id
        FROM #streams s JOIN {schema}.streams k ON k.partition_key = s.partition_key AND k.name_key = s.name_key;

        INSERT INTO {schema}.events (position, stream_id, version, ordinal, changeset, place, [count], nth, append_id, id, recorded_at, occurred_at, detailed,
            partition_key, stream_type, [type], content_type, [json], data, tags, context, metadata)
        SELECT e.position, k.id, c.[first] + e.place, c.ordinal, c.number, e.place, c.[count], e.nth, c.append_id, e.id, c.recorded_at, e.occurred_at, c.detailed,
            k.partition_key, k.type_key, e.[type], e.content_type, e.[json], SUBSTRING(@bytes, e.data_at, e.data_size), e.tags, e.context,
            SUBSTRING(@bytes, e.metadata_at, e.metadata_size)
        FROM #events e
        JOIN #changesets c ON c.n = e.changeset
        JOIN #streams s ON s.n = c.stream
        JOIN {schema}.streams k ON k.id = s.stream_id;
        INSERT INTO {schema}.tags (tag_key, position)
        SELECT CAST(t.text AS varbinary(256)), t.position FROM #tags t;

        -- A claim may change hands more than once: the last one has it.
        DELETE k FROM {schema}.claims k WHERE EXISTS (SELECT 1 FROM #hands w WHERE w.claim_key = k.claim_key);
        INSERT INTO {schema}.claims ([partition], kind, value, stream_id)
        SELECT s.[partition], w.kind, w.value, s.stream_id
        FROM #hands w JOIN #changesets c ON c.n = w.changeset JOIN #streams s ON s.n = c.stream
        WHERE w.release = 0 AND NOT EXISTS (SELECT 1 FROM #hands o WHERE o.claim_key = w.claim_key AND o.n > w.n);
        EXEC {schema}.store_besides @besides, @bytes;
        SET @stored = 1;
    END;
    COMMIT TRANSACTION;

    SELECT @stored AS stored;
END;
