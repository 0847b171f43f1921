-- The number of the advisory lock of something that an append depends on. Two
-- things may share one: then they wait for each other, which does no harm.
CREATE OR REPLACE FUNCTION {schema}.key_of(VARIADIC parts text[]) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN hashtextextended(parts::text, '{schema}.events'::regclass::oid::bigint);
