-- The highest position above another at which an event matches a query; 0 if
-- there is none. The query is an array of items {"types", "tags"}: an event
-- matches an item that names its type, or no types, and whose tags it all has;
-- it matches a query if it matches any item, or the query has none.
-- https://learn.microsoft.com/sql/t-sql/functions/openjson-transact-sql
CREATE OR ALTER FUNCTION {schema}.last_match(@items nvarchar(max), @above bigint) RETURNS bigint
AS
BEGIN
    DECLARE @item TABLE (n int NOT NULL PRIMARY KEY, types nvarchar(max) NULL, tags nvarchar(max) NULL);
    DECLARE @types TABLE (text varchar(256) COLLATE {collation} NOT NULL);
    DECLARE @tags TABLE (text varchar(256) COLLATE {collation} NOT NULL);
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
            FROM {schema}.tags t JOIN {schema}.events e ON e.position = t.position
            WHERE t.tag_key = @first AND t.position > @last
              AND NOT EXISTS (SELECT 1 FROM @tags g WHERE NOT EXISTS (
                  SELECT 1 FROM {schema}.tags o WHERE o.tag_key = CAST(g.text AS varbinary(256)) AND o.position = t.position))
              AND (NOT EXISTS (SELECT 1 FROM @types k) OR EXISTS (SELECT 1 FROM @types k WHERE CAST(k.text AS varbinary(256)) = e.type_key))
              AND NOT EXISTS (SELECT 1 FROM {schema}.hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
            ORDER BY t.position DESC;
        ELSE IF EXISTS (SELECT 1 FROM @types)
            SELECT @found = MAX(m.position)
            FROM @types k
            CROSS APPLY (
                SELECT TOP (1) e.position
                FROM {schema}.events e
                WHERE e.type_key = CAST(k.text AS varbinary(256)) AND e.position > @last
                  AND NOT EXISTS (SELECT 1 FROM {schema}.hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
                ORDER BY e.position DESC
            ) m;
        ELSE
            SELECT TOP (1) @found = e.position
            FROM {schema}.events e
            WHERE e.position > @last
              AND NOT EXISTS (SELECT 1 FROM {schema}.hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)
            ORDER BY e.position DESC;
        IF @found > @last
            SET @last = @found;
    END;
    RETURN CASE WHEN @last > @above THEN @last ELSE 0 END;
END;
