-- Waits until no other transaction changes the log, keeps others from it until
-- this one ends, and tells where the log ends. Whoever takes a turn must be one
-- statement that begins and ends the transaction: then no client that is slow,
-- or dies, can hold up the others.
--
-- The lock comes first, in a statement of its own: with row versions, each
-- statement sees what was committed when it began.
-- https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql
-- https://learn.microsoft.com/sql/t-sql/statements/set-transaction-isolation-level-transact-sql
CREATE OR ALTER PROCEDURE {schema}.take_turn
    @clock datetime2(6), @position bigint OUTPUT, @ordinal bigint OUTPUT, @recorded_at datetime2(6) OUTPUT, @deletions bigint OUTPUT
AS
BEGIN
    SET NOCOUNT, XACT_ABORT ON;
    DECLARE @result int, @now datetime2(6);
    EXEC @result = sys.sp_getapplock @Resource = {resource}, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = -1;
    IF @result = -3
        THROW 51205, 'daybook: the wait for the turn to change the log was chosen as the victim of a deadlock', 1;
    IF @result < 0
        THROW 51000, 'daybook: the turn to change the log could not be had', 1;
    SELECT @position = CASE WHEN e.position > s.position THEN e.position ELSE s.position END,
           @ordinal = CASE WHEN e.ordinal > s.ordinal THEN e.ordinal ELSE s.ordinal END,
           @recorded_at = CASE WHEN e.recorded_at > s.recorded_at THEN e.recorded_at ELSE s.recorded_at END,
           @deletions = s.deletions
    FROM {schema}.store s
    OUTER APPLY (SELECT TOP (1) l.position, l.ordinal, l.recorded_at FROM {schema}.events l ORDER BY l.position DESC) e;
    SET @now = COALESCE(@clock, SYSUTCDATETIME());
    IF @now > @recorded_at
        SET @recorded_at = @now;
END;
