-- Where the records with a tag stand.
CREATE TABLE {schema}.tags (
    tag_key  varbinary(256) NOT NULL, -- the bytes of its UTF-8
    position bigint         NOT NULL,
    CONSTRAINT tags_by_tag PRIMARY KEY CLUSTERED (tag_key, position)
);

CREATE INDEX tags_by_position ON {schema}.tags (position);
