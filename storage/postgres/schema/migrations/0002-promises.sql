-- Appends inside the transactions of callers, roles, partitions.
DROP FUNCTION {schema}.append, {schema}.delete_stream, {schema}.take_turn, {schema}.check_besides; -- they return, or take, something else now

ALTER TABLE {schema}.store
    ADD COLUMN partition_size bigint CHECK (partition_size > 0),
    ADD COLUMN room bigint;

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

-- Appends that their callers' transactions have brought along, and which have
-- no positions yet: the next turn gives them some. See promise.sql.
CREATE TABLE {schema}.promised (
    number      bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- rises along each stream
    append_id   uuid     NOT NULL,
    events      integer  NOT NULL, -- how many
    changesets  integer  NOT NULL, -- how many
    tagged      boolean  NOT NULL,
    s_partition text[]   NOT NULL COLLATE "C", -- its streams, and what its changesets have
    s_name      text[]   NOT NULL COLLATE "C", -- besides events, as append takes them
    c_stream    integer[] NOT NULL,
    besides     jsonb
);

-- The events of promised appends: as in events, but for where they stand in the
-- log and when that was recorded.
CREATE TABLE {schema}.promised_events (
    number       bigint  NOT NULL, -- of the promise
    in_append    integer NOT NULL, -- which of its changesets, from 1
    version      bigint  NOT NULL,
    changeset    bigint  NOT NULL,
    place        integer NOT NULL,
    count        integer NOT NULL,
    nth          integer NOT NULL,
    append_id    uuid    NOT NULL,
    id           uuid    NOT NULL,
    occurred_at  timestamptz,
    detailed     boolean NOT NULL,
    partition    text    NOT NULL COLLATE "C",
    stream       text    NOT NULL COLLATE "C",
    type         text    NOT NULL COLLATE "C",
    content_type text    COLLATE "C",
    json         text    COLLATE "C",
    data         bytea,
    tags         text[]  COLLATE "C",
    context      jsonb,
    metadata     bytea,
    PRIMARY KEY (number, nth)
);

CREATE UNIQUE INDEX promised_events_by_stream ON {schema}.promised_events (stream, partition, version);
CREATE UNIQUE INDEX promised_events_by_append ON {schema}.promised_events (append_id, nth);

-- Which roles were given rights, so that functions that are made anew later are
-- theirs too. See grant_rights.sql.
CREATE TABLE {schema}.granted (
    role name PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('reader', 'writer', 'deleter'))
);

