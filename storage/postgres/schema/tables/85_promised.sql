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
