-- What the receipts of appends said whose events were deleted.
CREATE TABLE {schema}.deleted_changesets (
    append_id      binary(16)   NOT NULL,
    ordinal        bigint       NOT NULL,
    stream_id      bigint       NOT NULL,
    number         bigint       NOT NULL,
    [first]        bigint       NOT NULL,
    [count]        int          NOT NULL,
    first_position bigint       NOT NULL,
    last_position  bigint       NOT NULL,
    recorded_at    datetime2(6) NOT NULL,
    CONSTRAINT deleted_changesets_by_append PRIMARY KEY CLUSTERED (append_id, ordinal),
    CONSTRAINT deleted_changesets_have_a_stream FOREIGN KEY (stream_id) REFERENCES {schema}.streams (id)
);
