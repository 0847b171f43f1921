-- Who will hold a claim when what is promised is settled; touched is not set
-- where no promise takes it or gives it back.
CREATE OR REPLACE FUNCTION {schema}.promised_holder(a_partition text, a_kind text, a_value text, OUT touched boolean, OUT holder text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT true, o.holder
    FROM (
        SELECT p.number, NULL AS holder, p.s_partition[p.c_stream[r.changeset]] AS partition, r.kind, r.value
        FROM {schema}.promised p CROSS JOIN LATERAL jsonb_to_recordset(p.besides -> 'releases') r(changeset int, kind text, value text)
        UNION ALL
        SELECT p.number, p.s_name[p.c_stream[r.changeset]], p.s_partition[p.c_stream[r.changeset]], r.kind, r.value
        FROM {schema}.promised p CROSS JOIN LATERAL jsonb_to_recordset(p.besides -> 'claims') r(changeset int, kind text, value text)
    ) o
    WHERE o.partition = a_partition AND o.kind = a_kind AND o.value = a_value
    ORDER BY o.number DESC, o.holder IS NULL
    LIMIT 1;
END;
