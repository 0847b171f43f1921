-- What stands for a text that is too long for an index. Nobody can make two texts
-- with one digest, and servers that run by FIPS have it too.
CREATE FUNCTION {schema}.digest(a_text text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(convert_to(a_text, 'UTF8'));
