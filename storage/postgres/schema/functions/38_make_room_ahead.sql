-- Makes the partition that the log goes on in and the one behind it, in a store
-- that has partitions, before appends need them. Returns how many it has made.
CREATE OR REPLACE FUNCTION {schema}.make_room_ahead(clock timestamptz) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    size bigint;
    nth  bigint;
    made int;
BEGIN
    SELECT t.position INTO nth FROM {schema}.take_turn(clock) t;
    SELECT s.partition_size INTO size FROM {schema}.store s;
    IF size IS NULL THEN
        RETURN 0;
    END IF;
    nth := nth / size; -- of the next position
    SELECT count(*) INTO made FROM generate_series(nth, nth + 1) n WHERE to_regclass(format('{schema}.%I', 'events_' || n)) IS NULL;
    PERFORM {schema}.make_partition(nth, size, false);
    IF {schema}.make_partition(nth + 1, size, true) THEN
        nth := nth + 1;
    ELSE
        made := made - 1; -- something else keeps it from being made now, an append makes it
    END IF;
    UPDATE {schema}.store s SET room = greatest(s.room, (nth + 1) * size - size / 2);
    RETURN made;
END
$$;
