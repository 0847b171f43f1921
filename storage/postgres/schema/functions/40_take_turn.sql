-- Waits until no other transaction changes the log, keeps others from it until
-- this one ends, and returns where the log ends. Whoever takes a turn must be
-- one statement that is a transaction of its own: then no client that is slow,
-- or dies, can hold up the others.
--
-- What is promised and committed is settled first. in_flight says that some
-- transaction has promised something and is still open, or may just have ended:
-- whatever depends on the same keys must then have try_keys, and settle once
-- more, before it decides. Without it nobody can promise until the turn ends.
CREATE OR REPLACE FUNCTION {schema}.take_turn(clock timestamptz,
    OUT "position" bigint, OUT ordinal bigint, OUT recorded_at timestamptz, OUT deletions bigint, OUT in_flight boolean, OUT room bigint)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    -- What others have committed before this turn must be seen in it.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the log is only changed at the isolation level READ COMMITTED, this transaction is at %', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    -- What is acknowledged is on the disk, whatever is set for others here.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM pg_advisory_xact_lock({class}, '{schema}.events'::regclass::oid::int);
    in_flight := {schema}.is_promising();
    SELECT greatest(s.position, e.position), greatest(s.ordinal, e.ordinal), greatest(s.recorded_at, e.recorded_at, coalesce(clock, clock_timestamp())), s.deletions, s.room
    INTO "position", ordinal, recorded_at, deletions, room
    FROM {schema}.store s
    LEFT JOIN LATERAL (
        SELECT l.position, l.ordinal, l.recorded_at FROM {schema}.events l ORDER BY l.position DESC LIMIT 1
    ) e ON true;
    IF EXISTS (SELECT FROM {schema}.promised) THEN
        SELECT p.log_position, p.log_ordinal INTO "position", ordinal FROM {schema}.settle_promised(recorded_at, "position", ordinal) p;
        SELECT s.room INTO room FROM {schema}.store s;
    END IF;
END
$$;
