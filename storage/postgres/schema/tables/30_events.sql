-- The log: one row an event, which never changes. Text is compared by its
-- bytes everywhere. In a store with partitions they stand in its partitions:
-- see make_room.sql.
CREATE TABLE {schema}.events (
    position     bigint      NOT NULL,
    version      bigint      NOT NULL,
    ordinal      bigint      NOT NULL, -- of its changeset, in the log
    changeset    bigint      NOT NULL, -- of its changeset, in the stream
    place        integer     NOT NULL, -- in its changeset, from 0
    count        integer     NOT NULL, -- of the events of its changeset
    nth          integer     NOT NULL, -- in its append, from 0
    append_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    occurred_at  timestamptz,          -- null: when it was recorded
    detailed     boolean     NOT NULL DEFAULT false, -- its changeset has a row in changesets
    partition    text        NOT NULL COLLATE "C",
    stream       text        NOT NULL COLLATE "C",
    type         text        NOT NULL COLLATE "C",
    content_type text        COLLATE "C", -- null: application/json
    json         text        COLLATE "C", -- the data, where it is JSON and a text can hold it,
    data         bytea,                   -- else here, byte for byte
    tags         text[]      COLLATE "C",
    context      jsonb,
    metadata     bytea                     -- of the context
){partitioned};
