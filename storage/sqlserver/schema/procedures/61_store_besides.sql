-- Keeps to which streams the changesets refer that are stored, and what they
-- have besides events. The tables are those of append; a changeset that is not
-- stored has no ordinal.
CREATE OR ALTER PROCEDURE {schema}.store_besides @besides nvarchar(max), @bytes varbinary(max)
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;

    INSERT INTO {schema}.stream_references (stream_id, to_stream_id)
    SELECT DISTINCT s.stream_id, k.id
    FROM #refers g
    JOIN #changesets c ON c.n = g.changeset
    JOIN #streams s ON s.n = c.stream
    JOIN {schema}.streams k ON k.partition_key = g.partition_key AND k.name_key = g.name_key
    WHERE c.ordinal IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM {schema}.stream_references o WHERE o.stream_id = s.stream_id AND o.to_stream_id = k.id);

    INSERT INTO {schema}.changesets (ordinal, metadata, claims, releases, refers_to)
    SELECT c.ordinal, SUBSTRING(@bytes, c.metadata_at, c.metadata_size), j.claims, j.releases, j.refers_to
    FROM OPENJSON(@besides, '$.changesets')
        WITH (changeset int, claims nvarchar(max) AS JSON, releases nvarchar(max) AS JSON, refers_to nvarchar(max) AS JSON) j
    JOIN #changesets c ON c.n = j.changeset
    WHERE c.ordinal IS NOT NULL;
END;
