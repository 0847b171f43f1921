-- Which stream holds a claim. What is too long for an index is found by a
-- digest.
CREATE TABLE {schema}.claims (
    partition text NOT NULL COLLATE "C",
    kind      text NOT NULL COLLATE "C",
    value     text NOT NULL COLLATE "C",
    stream    text NOT NULL COLLATE "C",
    FOREIGN KEY (partition, stream) REFERENCES {schema}.streams (partition, name)
);

CREATE UNIQUE INDEX claims_are_unique ON {schema}.claims (partition, {schema}.claim_key(kind), {schema}.claim_key(value));
CREATE INDEX claims_by_stream ON {schema}.claims (partition, stream);
