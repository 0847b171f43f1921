-- Where the records with a tag stand.
CREATE TABLE {schema}.tags (
    tag      text   NOT NULL COLLATE "C",
    position bigint NOT NULL,
    PRIMARY KEY (tag, position)
);
