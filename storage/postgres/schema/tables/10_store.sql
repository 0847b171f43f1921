-- One row: what the store is, and what the end of its log never falls below
-- when the last records of the log are deleted.
CREATE TABLE {schema}.store (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    version     integer     NOT NULL DEFAULT 0, -- of the tables: see migrate.go
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    position    bigint      NOT NULL DEFAULT 0, -- of the last record that was deleted
    ordinal     bigint      NOT NULL DEFAULT 0, -- of the last changeset that was deleted
    recorded_at timestamptz NOT NULL DEFAULT '0001-01-01T00:00:00Z', -- of the last deletion
    deletions   bigint      NOT NULL DEFAULT 0, -- how many were made
    partition_size bigint   CHECK (partition_size > 0), -- positions in a partition of events; null: it has none
    room        bigint      -- the log may grow up to here before partitions are made; null as above
);

INSERT INTO {schema}.store (partition_size, room) VALUES ({partition_size});
