-- Tells all turns that begin from now on, until the transaction ends, that it
-- promises something, and waits for the turn that may be under way. The turn is
-- waited for in a subtransaction, whose end gives it back at once.
CREATE OR REPLACE FUNCTION {schema}.begin_promise() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({class} + 2, '{schema}.events'::regclass::oid::int);
    BEGIN
        PERFORM pg_advisory_xact_lock_shared({class}, '{schema}.events'::regclass::oid::int);
        RAISE EXCEPTION USING ERRCODE = 'DB000';
    EXCEPTION WHEN SQLSTATE 'DB000' THEN
        NULL;
    END;
END
$$;
