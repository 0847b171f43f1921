-- One row: what the store is, and what the end of its log never falls below
-- when the last records of the log are deleted.
CREATE TABLE {schema}.store (
    only_row    bit              NOT NULL DEFAULT 1,
    version     int              NOT NULL DEFAULT 0, -- of the tables: see migrate.go
    id          uniqueidentifier NOT NULL DEFAULT NEWID(),
    created_at  datetime2(6)     NOT NULL DEFAULT SYSUTCDATETIME(),
    position    bigint           NOT NULL DEFAULT 0, -- of the last record that was deleted
    ordinal     bigint           NOT NULL DEFAULT 0, -- of the last changeset that was deleted
    recorded_at datetime2(6)     NOT NULL DEFAULT '0001-01-01T00:00:00', -- of the last deletion
    deletions   bigint           NOT NULL DEFAULT 0, -- how many were made
    CONSTRAINT store_has_one_row PRIMARY KEY (only_row),
    CONSTRAINT store_has_this_row CHECK (only_row = 1)
);

INSERT INTO {schema}.store DEFAULT VALUES;
