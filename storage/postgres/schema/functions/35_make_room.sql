-- Makes the partitions that positions need, in a store that has partitions, and
-- one ahead as soon as the last one is half full. Whoever calls it has the turn.
-- The positions rise, and lie behind the end of the log.
CREATE OR REPLACE FUNCTION {schema}.make_room(positions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    size bigint;
    upto bigint := positions[cardinality(positions)];
    last bigint;
    nth  bigint;
BEGIN
    SELECT s.partition_size INTO size FROM {schema}.store s;
    IF size IS NULL THEN
        RETURN;
    END IF;
    FOR nth IN SELECT DISTINCT (p - 1) / size FROM unnest(positions) p ORDER BY 1 LOOP
        PERFORM {schema}.make_partition(nth, size, false);
        last := nth;
    END LOOP;
    IF upto > (last + 1) * size - size / 2 AND {schema}.make_partition(last + 1, size, true) THEN
        last := last + 1;
    END IF;
    UPDATE {schema}.store s SET room = (last + 1) * size - size / 2;
END
$$;

-- The same for so many positions behind another.
CREATE OR REPLACE FUNCTION {schema}.make_room_behind(log_end bigint, events bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF log_end + events > (SELECT s.room FROM {schema}.store s) THEN
        PERFORM {schema}.make_room(ARRAY(SELECT generate_series(log_end + 1, log_end + events)));
    END IF;
END
$$;
