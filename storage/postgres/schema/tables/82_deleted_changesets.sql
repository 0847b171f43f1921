-- What the receipts of appends said whose events were deleted.
CREATE TABLE {schema}.deleted_changesets (
    append_id      uuid        NOT NULL,
    ordinal        bigint      NOT NULL,
    partition      text        NOT NULL COLLATE "C",
    stream         text        NOT NULL COLLATE "C",
    number         bigint      NOT NULL,
    first          bigint      NOT NULL,
    count          integer     NOT NULL,
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    PRIMARY KEY (append_id, ordinal)
);
