-- Every stream that ever had records. Where it ends is told by its last event;
-- where all of its events are deleted, here.
CREATE TABLE {schema}.streams (
    partition   text   NOT NULL COLLATE "C",
    name        text   NOT NULL COLLATE "C",
    type        text   NOT NULL COLLATE "C" GENERATED ALWAYS AS (split_part(name, '-', 1)) STORED,
    first       bigint NOT NULL DEFAULT 1 CHECK (first > 0), -- the lowest version that is not deleted
    version     bigint,      -- these four: where it ended
    changeset   bigint,
    position    bigint,
    recorded_at timestamptz,
    PRIMARY KEY (partition, name),
    CHECK (num_nulls(version, changeset, position, recorded_at) IN (0, 4))
);
