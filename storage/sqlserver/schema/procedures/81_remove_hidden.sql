-- Removes rows of hidden events of a stream, whole changesets, about as many as
-- asked. Returns how many, when it is committed; 0 when none are left. What
-- receipts need is kept.
--
-- The lock on the row of hidden lets no other deletion of the stream, and no
-- other removal, come between:
-- https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table
CREATE OR ALTER PROCEDURE {schema}.remove_hidden @stream_id bigint, @about int
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @through bigint, @cut bigint, @gone bigint = 0;

    BEGIN TRANSACTION;
    SELECT @through = h.through FROM {schema}.hidden h WITH (UPDLOCK, HOLDLOCK) WHERE h.stream_id = @stream_id;
    SELECT @cut = MAX(f.version - f.place + f.[count] - 1)
    FROM (
        SELECT TOP (@about) e.version, e.place, e.[count]
        FROM {schema}.events e
        WHERE e.stream_id = @stream_id AND e.version <= @through
        ORDER BY e.version
    ) f;
    IF @cut IS NULL
        DELETE FROM {schema}.hidden WHERE stream_id = @stream_id;
    ELSE
    BEGIN
        INSERT INTO {schema}.deleted_changesets (append_id, ordinal, stream_id, number, [first], [count], first_position, last_position, recorded_at)
        SELECT e.append_id, e.ordinal, e.stream_id, e.changeset, MIN(e.version), e.[count], MIN(e.position), MAX(e.position), e.recorded_at
        FROM {schema}.events e
        WHERE e.stream_id = @stream_id AND e.version <= @cut
        GROUP BY e.append_id, e.ordinal, e.stream_id, e.changeset, e.[count], e.recorded_at;
        DELETE t FROM {schema}.tags t JOIN {schema}.events e ON e.position = t.position WHERE e.stream_id = @stream_id AND e.version <= @cut;
        DELETE c FROM {schema}.changesets c JOIN {schema}.events e ON e.ordinal = c.ordinal
        WHERE e.stream_id = @stream_id AND e.version <= @cut AND e.detailed = 1;
        DELETE FROM {schema}.events WHERE stream_id = @stream_id AND version <= @cut;
        SET @gone = @@ROWCOUNT;
    END;
    COMMIT TRANSACTION;

    SELECT @gone AS gone;
END;
