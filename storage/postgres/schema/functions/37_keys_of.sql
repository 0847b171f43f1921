-- What appends depend on, by the arguments of append: their ids, streams, claims
-- and releases, which nobody else may touch; and the streams that they refer to,
-- which nobody may delete (shared).
CREATE OR REPLACE FUNCTION {schema}.keys_of(append_ids uuid[], s_partition text[], s_name text[], c_append int[], c_stream int[], besides jsonb)
RETURNS TABLE (append int, key bigint, shared boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.n::int, {schema}.key_of('append', a.id::text), false FROM unnest(append_ids) WITH ORDINALITY a(id, n)
    UNION
    SELECT c.append, {schema}.key_of('stream', s_partition[c.stream], s_name[c.stream]), false FROM unnest(c_append, c_stream) c(append, stream)
    UNION
    SELECT c_append[r.changeset], {schema}.key_of('existence', r.partition, r.name), true
    FROM jsonb_to_recordset(besides -> 'references') r(changeset int, partition text, name text)
    UNION
    SELECT c_append[r.changeset], {schema}.key_of('claim', s_partition[c_stream[r.changeset]], r.kind, r.value), false
    FROM jsonb_to_recordset(besides -> 'claims') r(changeset int, kind text, value text)
    UNION
    SELECT c_append[r.changeset], {schema}.key_of('claim', s_partition[c_stream[r.changeset]], r.kind, r.value), false
    FROM jsonb_to_recordset(besides -> 'releases') r(changeset int, kind text, value text);
END;
