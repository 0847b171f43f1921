-- Whether an event was deleted and its row is still to be removed.
CREATE OR REPLACE FUNCTION {schema}.is_hidden(a_partition text, a_stream text, a_version bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (
    SELECT FROM {schema}.hidden h
    WHERE h.partition = a_partition AND h.stream = a_stream AND a_version <= h.through
);
