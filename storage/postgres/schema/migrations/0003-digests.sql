-- Digests that nobody can make two texts for, in place of MD5. The functions that
-- changed besides are made anew.
CREATE FUNCTION {schema}.digest(a_text text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(convert_to(a_text, 'UTF8'));

DROP INDEX {schema}.claims_are_unique;
CREATE OR REPLACE FUNCTION {schema}.claim_key(a_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(a_text) <= 600 THEN 's' || a_text ELSE 'd' || encode({schema}.digest(a_text), 'hex') END;
CREATE UNIQUE INDEX claims_are_unique ON {schema}.claims (partition, {schema}.claim_key(kind), {schema}.claim_key(value));

DROP INDEX {schema}.stream_references_are_kept_once;
CREATE UNIQUE INDEX stream_references_are_kept_once ON {schema}.stream_references
    ({schema}.digest(partition || '/' || stream), {schema}.digest(to_partition || '/' || to_stream), partition, to_partition);

DROP FUNCTION {schema}.append_known; -- it takes more now
