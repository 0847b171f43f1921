-- A text as a time, where it is one as RFC 3339 writes it; else null.
CREATE OR REPLACE FUNCTION {schema}.time_of(a_text text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT
AS $$
BEGIN
    IF a_text ~* '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$' THEN
        RETURN a_text::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
