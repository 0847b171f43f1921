-- Whether an append with the id was stored, or is promised.
CREATE OR REPLACE FUNCTION {schema}.is_known(a_id uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM {schema}.events e WHERE e.append_id = a_id)
    OR EXISTS (SELECT FROM {schema}.promised_events p WHERE p.append_id = a_id)
    OR EXISTS (SELECT FROM {schema}.deleted_changesets d WHERE d.append_id = a_id);
