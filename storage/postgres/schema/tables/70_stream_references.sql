-- Which streams refer to which.
CREATE TABLE {schema}.stream_references (
    partition     text NOT NULL COLLATE "C",
    stream        text NOT NULL COLLATE "C",
    to_partition  text NOT NULL COLLATE "C",
    to_stream     text NOT NULL COLLATE "C",
    FOREIGN KEY (partition, stream) REFERENCES {schema}.streams (partition, name),
    FOREIGN KEY (to_partition, to_stream) REFERENCES {schema}.streams (partition, name)
);

CREATE UNIQUE INDEX stream_references_are_kept_once ON {schema}.stream_references
    ({schema}.digest(partition || '/' || stream), {schema}.digest(to_partition || '/' || to_stream), partition, to_partition);
