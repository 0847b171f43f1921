-- Gives roles the rights of their kinds, see docs/postgres-roles.md, and takes
-- all others on the store from them. What a migration, or typed_views, makes anew
-- is theirs after the next call.
CREATE OR REPLACE FUNCTION {schema}.grant_rights() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    it     record;
    called text;
BEGIN
    -- Who may call a function that acts for the owner is said below.
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC;
    DELETE FROM {schema}.granted g WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = g.role);
    FOR it IN SELECT g.role, g.kind FROM {schema}.granted g LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA {schema} FROM %I', it.role);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM %I', it.role);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM %I', it.role);
        EXECUTE format('GRANT USAGE ON SCHEMA {schema} TO %I', it.role);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO %I', it.role);
        FOR called IN
            SELECT p.oid::regprocedure::text
            FROM pg_proc p
            WHERE p.pronamespace = (SELECT c.relnamespace FROM pg_class c WHERE c.oid = '{schema}.events'::regclass)
              AND (p.provolatile <> 'v' -- these only look
                OR p.proname = 'settle'
                OR it.kind <> 'reader' AND p.proname IN ('append', 'append_known', 'promise')
                OR it.kind = 'deleter' AND p.proname IN ('delete_stream', 'remove_hidden'))
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', called, it.role);
        END LOOP;
    END LOOP;
END
$$;
