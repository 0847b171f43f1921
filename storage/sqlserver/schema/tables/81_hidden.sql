-- Deleted events whose rows are still to be removed.
CREATE TABLE {schema}.hidden (
    stream_id bigint NOT NULL,
    through   bigint NOT NULL,
    CONSTRAINT hidden_by_stream PRIMARY KEY CLUSTERED (stream_id),
    CONSTRAINT hidden_has_a_stream FOREIGN KEY (stream_id) REFERENCES {schema}.streams (id)
);
