-- Tells those who wait for the log to grow, if there are any: they share a lock
-- that can be had alone where nobody waits.
CREATE OR REPLACE FUNCTION {schema}.ring() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock({class} + 1, '{schema}.events'::regclass::oid::int) THEN
        PERFORM pg_notify('daybook_' || '{schema}.events'::regclass::oid, '');
    END IF;
END
$$;
