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
