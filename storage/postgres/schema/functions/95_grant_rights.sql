-- Gives a role the rights of a kind in place of those that it had: see
-- docs/postgres-roles.md; '' takes them away. And gives all roles that have rights
-- those on what was made anew meanwhile, by a migration or as typed views; without
-- a role only that.
CREATE OR REPLACE FUNCTION {schema}.grant_rights(a_role text, a_kind text) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    it     record;
    called text;
BEGIN
    -- Some functions act for the owner: who may call them is said below.
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC;
    DELETE FROM {schema}.granted g WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = g.role);
    IF a_role IS NOT NULL THEN
        EXECUTE format('REVOKE ALL ON SCHEMA {schema} FROM %I', a_role);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM %I', a_role);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM %I', a_role);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM %I', a_role);
        DELETE FROM {schema}.granted g WHERE g.role = a_role;
        INSERT INTO {schema}.granted (role, kind) SELECT a_role, a_kind WHERE a_kind <> '';
    END IF;
    FOR it IN SELECT g.role, g.kind FROM {schema}.granted g LOOP
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
