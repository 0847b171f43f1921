-- Makes the indexes of events, or of one of its partitions.
CREATE FUNCTION {schema}.index_events(a_table text) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    it record;
BEGIN
    FOR it IN SELECT * FROM (VALUES
        ('position',    'UNIQUE', '(position)'),
        ('stream',      'UNIQUE', '(stream, partition, version)'),
        ('append',      'UNIQUE', '(append_id, nth)'),
        ('type',        '',       '(type, position)'),
        ('stream_type', '',       '(split_part(stream, ''-'', 1), position)'),
        ('partition',   '',       '(partition, position) WHERE partition <> ''''')
    ) i(name, kind, columns) LOOP
        EXECUTE format('CREATE %s INDEX %I ON {schema}.%I %s', it.kind, a_table || '_by_' || it.name, a_table, it.columns);
    END LOOP;
END
$$;
