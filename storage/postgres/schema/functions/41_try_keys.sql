-- Takes the locks that appends need while others promise, by the arguments of
-- append, without waiting for any: for each append, whether it got all of its.
CREATE OR REPLACE FUNCTION {schema}.try_keys(append_ids uuid[], s_partition text[], s_name text[], c_append int[], c_stream int[], besides jsonb) RETURNS boolean[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    it  record;
    got boolean[] := array_fill(true, ARRAY[cardinality(append_ids)]);
BEGIN
    FOR it IN SELECT * FROM {schema}.keys_of(append_ids, s_partition, s_name, c_append, c_stream, besides) k WHERE NOT k.shared LOOP
        got[it.append] := got[it.append] AND pg_try_advisory_xact_lock(it.key);
    END LOOP;
    RETURN got;
END
$$;
