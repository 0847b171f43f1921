-- A text as jsonb; null where it is not JSON, or holds what jsonb cannot.
CREATE OR REPLACE FUNCTION {schema}.json_of(a_text text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT
AS $$
BEGIN
    RETURN a_text::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
