-- Deletes the changesets of a stream that end at a version or below; 0 is all.
-- They are hidden at once; remove_hidden removes their rows. The keys are the
-- bytes of the texts, in UTF-8.
--
-- Returns, when it is committed, whether the deletion was made before, whether
-- it was refused, and where the stream ended.
CREATE OR ALTER PROCEDURE {schema}.delete_stream
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
    EXEC {schema}.take_turn @clock, @position OUTPUT, @ordinal OUTPUT, @recorded_at OUTPUT, @deletions OUTPUT;
    IF EXISTS (SELECT 1 FROM {schema}.deletions d WHERE d.id = @id)
        SET @repeated = 1;
    ELSE
    BEGIN
        SELECT @stream_id = s.id, @version = h.version, @changeset = h.changeset, @first = h.[first], @head_position = h.position,
               @head_recorded_at = h.recorded_at, @live = CASE WHEN h.[first] <= h.version THEN 1 ELSE 0 END
        FROM {schema}.streams s CROSS APPLY {schema}.head(s.id) h
        WHERE s.partition_key = @partition_key AND s.name_key = @stream_key;
        IF @expect = 1 AND @live = 1 OR @expect = 2 AND @live = 0 OR @expect = 3 AND COALESCE(@version, 0) <> @place
            OR @expect = 4 AND COALESCE(@changeset, 0) <> @place
            SET @refused = 1;
    END;
    IF @repeated = 0 AND @refused = 0
    BEGIN
        SELECT TOP (1) @cut_version = e.version, @cut_changeset = e.changeset
        FROM {schema}.events e
        WHERE e.stream_id = @stream_id AND e.version >= @first AND e.place = e.[count] - 1 AND (@asked = 0 OR e.version <= @asked)
        ORDER BY e.version DESC;
        IF @cut_version IS NOT NULL
        BEGIN
            SET @records = @cut_version - @first + 1;
            SELECT @changesets = @cut_changeset - e.changeset + 1 FROM {schema}.events e WHERE e.stream_id = @stream_id AND e.version = @first;
            UPDATE {schema}.hidden SET through = @cut_version WHERE stream_id = @stream_id;
            IF @@ROWCOUNT = 0
                INSERT INTO {schema}.hidden (stream_id, through) VALUES (@stream_id, @cut_version);
            UPDATE {schema}.streams SET [first] = @cut_version + 1 WHERE id = @stream_id;
            IF @cut_version = @version
            BEGIN
                UPDATE {schema}.streams
                SET version = @version, changeset = @changeset, position = @head_position, recorded_at = @head_recorded_at
                WHERE id = @stream_id;
                DELETE FROM {schema}.claims WHERE stream_id = @stream_id;
            END;
        END;
        UPDATE {schema}.store SET deletions = @deletions + 1, position = @position, ordinal = @ordinal, recorded_at = @recorded_at;
        INSERT INTO {schema}.deletions (number, id, [partition], stream, asked_through, scrub, who, why, recorded_at, through, changesets, records)
        VALUES (@deletions + 1, @id, @partition, @stream, @asked, @scrub, @who, @why, @recorded_at, COALESCE(@cut_version, @first - 1, 0), @changesets, @records);
    END;
    COMMIT TRANSACTION;

    SELECT @repeated AS repeated, @refused AS refused, COALESCE(@version, 0) AS version, COALESCE(@changeset, 0) AS changeset,
           COALESCE(@first, 0) AS [first], COALESCE(@head_position, 0) AS position, @head_recorded_at AS recorded_at;
END;
