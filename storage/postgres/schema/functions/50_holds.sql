-- Whether a stream that ends at a version and changeset, and has events or not,
-- is where an append expects it: 0 anywhere, 1 without events, 2 with events,
-- 3 at a version, 4 at a changeset.
CREATE OR REPLACE FUNCTION {schema}.holds(expect smallint, place bigint, version bigint, changeset bigint, live boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE expect WHEN 0 THEN true WHEN 1 THEN NOT live WHEN 2 THEN live WHEN 3 THEN version = place ELSE changeset = place END;
