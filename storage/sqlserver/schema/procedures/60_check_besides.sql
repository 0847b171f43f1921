-- Adds to #refused which appends their conditions, references, releases and
-- claims keep from being stored, and why. Of an append only the first reason
-- counts. The tables are those of append.
-- https://learn.microsoft.com/sql/t-sql/statements/create-table-transact-sql#temporary-tables
CREATE OR ALTER PROCEDURE {schema}.check_besides @besides nvarchar(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;

    INSERT INTO #refused (append, why, found)
    SELECT m.append, 'condition', m.found
    FROM (
        SELECT j.append, {schema}.last_match(j.items, j.[after]) AS found
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
              SELECT 1 FROM {schema}.streams k CROSS APPLY {schema}.head(k.id) h
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
        JOIN {schema}.claims k ON k.claim_key = w.claim_key
        JOIN {schema}.streams h ON h.id = k.stream_id
        WHERE (s.stream_id IS NULL OR k.stream_id <> s.stream_id)
          AND NOT EXISTS (SELECT 1 FROM #refused r WHERE r.append = c.append)
          AND (w.release = 1 OR NOT EXISTS (
              SELECT 1 FROM #claims o JOIN #changesets d ON d.n = o.changeset
              WHERE o.release = 1 AND o.claim_key = w.claim_key AND d.append = c.append))
    ) m
    WHERE m.nth = 1;
END;
