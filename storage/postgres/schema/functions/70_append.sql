-- Stores appends, those that are refused left out. The appends of one call must
-- not depend on one another: what one demands must not hang on whether another
-- is stored. Changesets of one stream may stand in it more than once, if all
-- but the first expect nothing.
--
-- Arrays of one letter have an element each: s of streams (each once), c of
-- changesets, e of events. c_append, c_stream and e_changeset are indexes from
-- 1. besides has what few appends carry:
--
--   {"conditions": [{"append", "after", "items"}],
--    "references": [{"changeset", "partition", "name"}],
--    "releases":   [{"changeset", "kind", "value"}],
--    "claims":     [{"changeset", "kind", "value"}],
--    "changesets": [{"changeset", "metadata", "claims", "releases", "refers_to"}]}
--
-- Returns where the log and each stream ended before, from which it follows
-- where everything went: in the order in which it was given; and what was
-- refused: [{"append", "why", …}], as check_besides says it, and
-- {"append", "why": "repeated"}, {"append", "why": "conflict", "changeset", "head"},
-- and {"append", "why": "busy"}: a transaction that is open has promised
-- something that the append depends on. in_flight says that there is any such.
CREATE OR REPLACE FUNCTION {schema}.append(
    clock timestamptz, append_ids uuid[], s_partition text[], s_name text[],
    c_append int[], c_stream int[], c_expect smallint[], c_at bigint[], c_count int[], c_detailed boolean[],
    e_changeset int[], e_place int[], e_nth int[], e_id uuid[], e_type text[], e_content_type text[], e_json text[], e_data bytea[],
    e_occurred_at timestamptz[], e_tags text[], e_context text[], e_metadata bytea[],
    tagged boolean, besides jsonb,
    OUT end_position bigint, OUT end_ordinal bigint, OUT end_recorded_at timestamptz, OUT deletions bigint,
    OUT s_version bigint[], OUT s_changeset bigint[], OUT refused jsonb, OUT in_flight boolean)
LANGUAGE plpgsql VOLATILE {definer}
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    live       boolean[]; -- of each stream: it has events
    accepted   boolean[]; -- of each append
    c_position bigint[];  -- of each changeset: the position before its first event
    c_ordinal  bigint[];
    c_version  bigint[];  -- the version before its first event
    c_number   bigint[];
    free       boolean[]; -- of each append: no promise stands in its way
    room       bigint;
    it         jsonb;
    i          int;
BEGIN
    SELECT t.position, t.ordinal, t.recorded_at, t.deletions, t.in_flight, t.room
    INTO end_position, end_ordinal, end_recorded_at, deletions, in_flight, room
    FROM {schema}.take_turn(clock) t;
    IF in_flight THEN
        free := {schema}.try_keys(append_ids, s_partition, s_name, c_append, c_stream, besides);
        SELECT p.log_position, p.log_ordinal INTO end_position, end_ordinal FROM {schema}.settle_promised(end_recorded_at, end_position, end_ordinal) p;
        SELECT s.room INTO room FROM {schema}.store s;
    END IF;

    SELECT array_agg(coalesce(l.version, d.version, 0) ORDER BY s.n), array_agg(coalesce(l.changeset, d.changeset, 0) ORDER BY s.n),
           array_agg(l.version IS NOT NULL AND NOT {schema}.is_hidden(s.partition, s.name, l.version) ORDER BY s.n)
    INTO s_version, s_changeset, live
    FROM unnest(s_partition, s_name) WITH ORDINALITY s(partition, name, n)
    LEFT JOIN LATERAL (
        SELECT e.version, e.changeset FROM {schema}.events e
        WHERE e.stream = s.name AND e.partition = s.partition ORDER BY e.version DESC LIMIT 1
    ) l ON true
    LEFT JOIN LATERAL (
        SELECT k.version, k.changeset FROM {schema}.streams k
        WHERE l.version IS NULL AND k.name = s.name AND k.partition = s.partition
    ) d ON true;

    accepted := array_fill(true, ARRAY[cardinality(append_ids)]);
    refused := '[]';
    FOR i IN SELECT a.n FROM unnest(append_ids) WITH ORDINALITY a(id, n) WHERE {schema}.is_known(a.id) LOOP
        accepted[i] := false;
        refused := refused || jsonb_build_object('append', i, 'why', 'repeated');
    END LOOP;
    IF in_flight THEN
        FOR i IN SELECT a.n FROM unnest(free, accepted) WITH ORDINALITY a(is_free, is_new, n) WHERE a.is_new AND NOT a.is_free LOOP
            accepted[i] := false;
            refused := refused || jsonb_build_object('append', i, 'why', 'busy');
        END LOOP;
    END IF;
    FOR i IN 1 .. cardinality(c_append) LOOP
        IF c_expect[i] > 0 AND accepted[c_append[i]] AND NOT {schema}.holds(c_expect[i], c_at[i], s_version[c_stream[i]], s_changeset[c_stream[i]], live[c_stream[i]]) THEN
            accepted[c_append[i]] := false;
            refused := refused || jsonb_build_object('append', c_append[i], 'why', 'conflict', 'changeset', i,
                'head', (SELECT to_jsonb(h) FROM {schema}.head(s_partition[c_stream[i]], s_name[c_stream[i]]) h));
        END IF;
    END LOOP;
    IF besides IS NOT NULL THEN
        FOR it IN SELECT r FROM jsonb_array_elements({schema}.check_besides(besides, accepted, s_partition, s_name, c_append, c_stream, false)) r LOOP
            accepted[(it ->> 'append')::int] := false;
            refused := refused || it;
        END LOOP;
    END IF;
    IF NOT true = ANY (accepted) THEN
        RETURN;
    END IF;

    SELECT array_agg(p.position ORDER BY p.n), array_agg(p.ordinal ORDER BY p.n), array_agg(p.version ORDER BY p.n), array_agg(p.number ORDER BY p.n)
    INTO c_position, c_ordinal, c_version, c_number
    FROM (
        SELECT c.n, end_position + sum(c.events) OVER whole - c.events AS position, end_ordinal + sum(c.one) OVER whole AS ordinal,
               s_version[c.stream] + sum(c.events) OVER own - c.events AS version, s_changeset[c.stream] + sum(c.one) OVER own AS number
        FROM (
            SELECT k.n, k.stream, accepted[k.append]::int AS one, k.count * accepted[k.append]::int AS events
            FROM unnest(c_append, c_stream, c_count) WITH ORDINALITY k(append, stream, count, n)
        ) c
        WINDOW whole AS (ORDER BY c.n ROWS UNBOUNDED PRECEDING), own AS (PARTITION BY c.stream ORDER BY c.n ROWS UNBOUNDED PRECEDING)
    ) p;

    IF end_position + cardinality(e_id) > room THEN
        PERFORM {schema}.make_room_behind(end_position, cardinality(e_id));
    END IF;
    IF 0 = ANY (s_version) THEN
        INSERT INTO {schema}.streams (partition, name)
        SELECT DISTINCT s_partition[c.stream], s_name[c.stream]
        FROM unnest(c_append, c_stream) c(append, stream)
        WHERE s_version[c.stream] = 0 AND accepted[c.append];
    END IF;
    INSERT INTO {schema}.events (position, version, ordinal, changeset, place, count, nth, append_id, id, recorded_at, occurred_at, detailed,
        partition, stream, type, content_type, json, data, tags, context, metadata)
    SELECT c_position[e.changeset] + e.place + 1, c_version[e.changeset] + e.place + 1, c_ordinal[e.changeset], c_number[e.changeset],
        e.place, c_count[e.changeset], e.nth, append_ids[c_append[e.changeset]], e.id, end_recorded_at, e.occurred_at, c_detailed[e.changeset],
        s_partition[c_stream[e.changeset]], s_name[c_stream[e.changeset]], e.type, e.content_type, e.json, e.data, e.tags::text[], e.context::jsonb, e.metadata
    FROM unnest(e_changeset, e_place, e_nth, e_id, e_type, e_content_type, e_json, e_data, e_occurred_at, e_tags, e_context, e_metadata)
        e(changeset, place, nth, id, type, content_type, json, data, occurred_at, tags, context, metadata)
    WHERE accepted[c_append[e.changeset]];
    IF tagged THEN
        INSERT INTO {schema}.tags (tag, position)
        SELECT t.tag, e.position FROM {schema}.events e CROSS JOIN unnest(e.tags) t(tag) WHERE e.position > end_position;
    END IF;
    IF besides IS NOT NULL THEN
        PERFORM {schema}.store_besides(besides, accepted, s_partition, s_name, c_append, c_stream, c_ordinal);
    END IF;
    PERFORM {schema}.ring();
END
$$;
