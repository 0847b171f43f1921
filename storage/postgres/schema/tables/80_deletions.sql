-- The deletions that were made.
CREATE TABLE {schema}.deletions (
    number        bigint      PRIMARY KEY,
    id            uuid        NOT NULL UNIQUE,
    partition     text        NOT NULL COLLATE "C",
    stream        text        NOT NULL COLLATE "C",
    asked_through bigint      NOT NULL,
    scrub         boolean     NOT NULL,
    who           text        NOT NULL,
    why           text        NOT NULL,
    recorded_at   timestamptz NOT NULL,
    through       bigint      NOT NULL,
    changesets    bigint      NOT NULL,
    records       bigint      NOT NULL
);

CREATE INDEX deletions_by_stream ON {schema}.deletions (stream, partition, number);
