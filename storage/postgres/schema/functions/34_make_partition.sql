-- Makes the nth partition of events, from 0, if it is not there. Whoever calls it
-- has the turn. It is made aside and attached: that keeps no reader out, and
-- waits for none, however long it reads; what it waits for are VACUUM and ANALYZE
-- of events itself, unless it is only made ahead: then it reports false.
CREATE OR REPLACE FUNCTION {schema}.make_partition(nth bigint, size bigint, ahead boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    called text := 'events_' || nth;
BEGIN
    IF to_regclass(format('{schema}.%I', called)) IS NOT NULL THEN
        RETURN true;
    END IF;
    IF ahead THEN
        BEGIN
            LOCK TABLE ONLY {schema}.events IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
        EXCEPTION WHEN lock_not_available THEN
            RETURN false;
        END;
    END IF;
    EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.events INCLUDING ALL)', called);
    PERFORM {schema}.index_events(called);
    EXECUTE format('ALTER TABLE {schema}.events ATTACH PARTITION {schema}.%I FOR VALUES FROM (%s) TO (%s)', called, nth * size + 1, (nth + 1) * size + 1);
    RETURN true;
END
$$;
