-- Carries out the releases, claims and references of the appends that are
-- stored, and keeps what their changesets have besides events.
CREATE OR REPLACE FUNCTION {schema}.store_besides(besides jsonb, accepted boolean[], s_partition text[], s_name text[],
    c_append int[], c_stream int[], c_ordinal bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
BEGIN
    DELETE FROM {schema}.claims k
    USING jsonb_to_recordset(besides -> 'releases') r(changeset int, kind text, value text)
    WHERE accepted[c_append[r.changeset]] AND k.partition = s_partition[c_stream[r.changeset]]
      AND {schema}.claim_key(k.kind) = {schema}.claim_key(r.kind) AND {schema}.claim_key(k.value) = {schema}.claim_key(r.value);
    INSERT INTO {schema}.claims (partition, kind, value, stream)
    SELECT s_partition[c_stream[r.changeset]], r.kind, r.value, s_name[c_stream[r.changeset]]
    FROM jsonb_to_recordset(besides -> 'claims') r(changeset int, kind text, value text)
    WHERE accepted[c_append[r.changeset]]
    ON CONFLICT DO NOTHING; -- the stream holds it already
    INSERT INTO {schema}.stream_references (partition, stream, to_partition, to_stream)
    SELECT s_partition[c_stream[r.changeset]], s_name[c_stream[r.changeset]], r.partition, r.name
    FROM jsonb_to_recordset(besides -> 'references') r(changeset int, partition text, name text)
    WHERE accepted[c_append[r.changeset]]
    ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.changesets (ordinal, metadata, claims, releases, refers_to)
    SELECT c_ordinal[r.changeset], decode(r.metadata, 'base64'), r.claims, r.releases, r.refers_to
    FROM jsonb_to_recordset(besides -> 'changesets') r(changeset int, metadata text, claims jsonb, releases jsonb, refers_to jsonb)
    WHERE accepted[c_append[r.changeset]];
END
$$;
