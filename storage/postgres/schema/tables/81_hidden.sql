-- Deleted events whose rows are still to be removed.
CREATE TABLE {schema}.hidden (
    partition text   NOT NULL COLLATE "C",
    stream    text   NOT NULL COLLATE "C",
    through   bigint NOT NULL,
    PRIMARY KEY (partition, stream)
);
