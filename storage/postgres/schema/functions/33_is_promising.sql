-- Whether some transaction has promised something and is still open, or may just
-- have ended. Who has the turn and is told no may rely on it until the turn ends:
-- whoever promises from now on first waits for that. The lock is given back at
-- once: were it kept, the next turn could meet it between the moment that the
-- turn is free and the moment that all locks of this one are.
CREATE OR REPLACE FUNCTION {schema}.is_promising() RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    RETURN CASE WHEN pg_try_advisory_lock({class} + 2, '{schema}.events'::regclass::oid::int)
        THEN NOT pg_advisory_unlock({class} + 2, '{schema}.events'::regclass::oid::int)
        ELSE true END;
END
$$;
