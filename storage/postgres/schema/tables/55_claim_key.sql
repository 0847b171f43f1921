-- What a text is found by: itself, or the digest of one that is too long for an
-- index. The letter in front keeps the two apart.
CREATE FUNCTION {schema}.claim_key(a_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(a_text) <= 600 THEN 's' || a_text ELSE 'd' || encode({schema}.digest(a_text), 'hex') END;
