-- Which streams refer to which.
CREATE TABLE {schema}.stream_references (
    stream_id    bigint NOT NULL,
    to_stream_id bigint NOT NULL,
    CONSTRAINT stream_references_are_kept_once PRIMARY KEY CLUSTERED (stream_id, to_stream_id),
    CONSTRAINT stream_references_begin_at_a_stream FOREIGN KEY (stream_id) REFERENCES {schema}.streams (id),
    CONSTRAINT stream_references_end_at_a_stream FOREIGN KEY (to_stream_id) REFERENCES {schema}.streams (id)
);
