-- The tables, functions and views of version 1, as its program made them. Never changed: see TestAStoreOfVersion1IsBroughtToThePresentOne.
CREATE SCHEMA {schema};
-- One row: what the store is, and what the end of its log never falls below
-- when the last records of the log are deleted.
CREATE TABLE {schema}.store (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    version     integer     NOT NULL DEFAULT 0, -- of the tables: see migrate.go
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    position    bigint      NOT NULL DEFAULT 0, -- of the last record that was deleted
    ordinal     bigint      NOT NULL DEFAULT 0, -- of the last changeset that was deleted
    recorded_at timestamptz NOT NULL DEFAULT '0001-01-01T00:00:00Z', -- of the last deletion
    deletions   bigint      NOT NULL DEFAULT 0  -- how many were made
);

INSERT INTO {schema}.store DEFAULT VALUES;

-- Every stream that ever had records. Where it ends is told by its last event;
-- where all of its events are deleted, here.
CREATE TABLE {schema}.streams (
    partition   text   NOT NULL COLLATE "C",
    name        text   NOT NULL COLLATE "C",
    type        text   NOT NULL COLLATE "C" GENERATED ALWAYS AS (split_part(name, '-', 1)) STORED,
    first       bigint NOT NULL DEFAULT 1 CHECK (first > 0), -- the lowest version that is not deleted
    version     bigint,      -- these four: where it ended
    changeset   bigint,
    position    bigint,
    recorded_at timestamptz,
    PRIMARY KEY (partition, name),
    CHECK (num_nulls(version, changeset, position, recorded_at) IN (0, 4))
);

-- The log: one row an event, which never changes. Text is compared by its
-- bytes everywhere.
CREATE TABLE {schema}.events (
    position     bigint      NOT NULL,
    version      bigint      NOT NULL,
    ordinal      bigint      NOT NULL, -- of its changeset, in the log
    changeset    bigint      NOT NULL, -- of its changeset, in the stream
    place        integer     NOT NULL, -- in its changeset, from 0
    count        integer     NOT NULL, -- of the events of its changeset
    nth          integer     NOT NULL, -- in its append, from 0
    append_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    occurred_at  timestamptz,          -- null: when it was recorded
    detailed     boolean     NOT NULL DEFAULT false, -- its changeset has a row in changesets
    partition    text        NOT NULL COLLATE "C",
    stream       text        NOT NULL COLLATE "C",
    type         text        NOT NULL COLLATE "C",
    content_type text        COLLATE "C", -- null: application/json
    json         text        COLLATE "C", -- the data, where it is JSON and a text can hold it,
    data         bytea,                   -- else here, byte for byte
    tags         text[]      COLLATE "C",
    context      jsonb,
    metadata     bytea                     -- of the context
);

CREATE UNIQUE INDEX events_by_position ON {schema}.events (position);
CREATE UNIQUE INDEX events_by_stream ON {schema}.events (stream, partition, version);
CREATE UNIQUE INDEX events_by_append ON {schema}.events (append_id, nth);
CREATE INDEX events_by_type ON {schema}.events (type, position);
CREATE INDEX events_by_stream_type ON {schema}.events (split_part(stream, '-', 1), position);
CREATE INDEX events_by_partition ON {schema}.events (partition, position) WHERE partition <> '';

-- What some changesets have besides events.
CREATE TABLE {schema}.changesets (
    ordinal   bigint PRIMARY KEY,
    metadata  bytea,
    claims    jsonb, -- [{"kind", "value"}], as releases
    releases  jsonb,
    refers_to jsonb  -- [{"partition", "name"}]
);

-- Where the records with a tag stand.
CREATE TABLE {schema}.tags (
    tag      text   NOT NULL COLLATE "C",
    position bigint NOT NULL,
    PRIMARY KEY (tag, position)
);

-- What a text is found by: itself, or a digest of one that is too long for an
-- index. The letter in front keeps the two apart.
CREATE FUNCTION {schema}.claim_key(a_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(a_text) <= 600 THEN 's' || a_text ELSE 'd' || md5(a_text) END;

-- Which stream holds a claim. What is too long for an index is found by a
-- digest.
CREATE TABLE {schema}.claims (
    partition text NOT NULL COLLATE "C",
    kind      text NOT NULL COLLATE "C",
    value     text NOT NULL COLLATE "C",
    stream    text NOT NULL COLLATE "C",
    FOREIGN KEY (partition, stream) REFERENCES {schema}.streams (partition, name)
);

CREATE UNIQUE INDEX claims_are_unique ON {schema}.claims (partition, {schema}.claim_key(kind), {schema}.claim_key(value));
CREATE INDEX claims_by_stream ON {schema}.claims (partition, stream);

-- Which streams refer to which.
CREATE TABLE {schema}.stream_references (
    partition     text NOT NULL COLLATE "C",
    stream        text NOT NULL COLLATE "C",
    to_partition  text NOT NULL COLLATE "C",
    to_stream     text NOT NULL COLLATE "C",
    FOREIGN KEY (partition, stream) REFERENCES {schema}.streams (partition, name),
    FOREIGN KEY (to_partition, to_stream) REFERENCES {schema}.streams (partition, name)
);

CREATE UNIQUE INDEX stream_references_are_kept_once ON {schema}.stream_references
    (md5(partition || '/' || stream), md5(to_partition || '/' || to_stream), partition, to_partition);

-- The deletions that were made.
CREATE TABLE {schema}.deletions (
    number        bigint      PRIMARY KEY,
    id            uuid        NOT NULL UNIQUE,
    partition     text        NOT NULL COLLATE "C",
    stream        text        NOT NULL COLLATE "C",
    asked_through bigint      NOT NULL,
    scrub         boolean     NOT NULL,
    who           text        NOT NULL,
    why           text        NOT NULL,
    recorded_at   timestamptz NOT NULL,
    through       bigint      NOT NULL,
    changesets    bigint      NOT NULL,
    records       bigint      NOT NULL
);

CREATE INDEX deletions_by_stream ON {schema}.deletions (stream, partition, number);

-- Deleted events whose rows are still to be removed.
CREATE TABLE {schema}.hidden (
    partition text   NOT NULL COLLATE "C",
    stream    text   NOT NULL COLLATE "C",
    through   bigint NOT NULL,
    PRIMARY KEY (partition, stream)
);

-- What the receipts of appends said whose events were deleted.
CREATE TABLE {schema}.deleted_changesets (
    append_id      uuid        NOT NULL,
    ordinal        bigint      NOT NULL,
    partition      text        NOT NULL COLLATE "C",
    stream         text        NOT NULL COLLATE "C",
    number         bigint      NOT NULL,
    first          bigint      NOT NULL,
    count          integer     NOT NULL,
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    PRIMARY KEY (append_id, ordinal)
);

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

-- Whether an event was deleted and its row is still to be removed.
CREATE OR REPLACE FUNCTION {schema}.is_hidden(a_partition text, a_stream text, a_version bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (
    SELECT FROM {schema}.hidden h
    WHERE h.partition = a_partition AND h.stream = a_stream AND a_version <= h.through
);

-- Where a stream ends, and the lowest version that is left of it; no row for
-- one that never was.
CREATE OR REPLACE FUNCTION {schema}.head(a_partition text, a_stream text,
    OUT version bigint, OUT changeset bigint, OUT first bigint, OUT "position" bigint, OUT recorded_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT coalesce(e.version, s.version), coalesce(e.changeset, s.changeset), s.first,
           coalesce(e.position, s.position), coalesce(e.recorded_at, s.recorded_at)
    FROM {schema}.streams s
    LEFT JOIN LATERAL (
        SELECT l.version, l.changeset, l.position, l.recorded_at
        FROM {schema}.events l
        WHERE l.stream = s.name AND l.partition = s.partition
        ORDER BY l.version DESC
        LIMIT 1
    ) e ON true
    WHERE s.partition = a_partition AND s.name = a_stream;
END;

-- The highest position above another at which an event matches a query; 0 if
-- there is none. The query is an array of items {"types", "tags"}: an event
-- matches an item that names its type, or no types, and whose tags it all has;
-- it matches a query if it matches any item, or the query has none.
CREATE OR REPLACE FUNCTION {schema}.last_match(items jsonb, above bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    item      jsonb;
    its_types text[];
    its_tags  text[];
    found     bigint;
    last      bigint := 0;
BEGIN
    IF jsonb_array_length(items) = 0 THEN
        items := '[{}]';
    END IF;
    FOR item IN SELECT i FROM jsonb_array_elements(items) i LOOP
        its_types := ARRAY(SELECT jsonb_array_elements_text(item -> 'types'));
        its_tags := ARRAY(SELECT jsonb_array_elements_text(item -> 'tags'));
        IF cardinality(its_tags) > 0 THEN
            SELECT t.position INTO found
            FROM {schema}.tags t JOIN {schema}.events e USING (position)
            WHERE t.tag = its_tags[1] AND t.position > greatest(above, last)
              AND e.tags @> its_tags AND (cardinality(its_types) = 0 OR e.type = ANY (its_types))
              AND NOT {schema}.is_hidden(e.partition, e.stream, e.version)
            ORDER BY t.position DESC
            LIMIT 1;
        ELSIF cardinality(its_types) > 0 THEN
            SELECT max(m.position) INTO found
            FROM unnest(its_types) k(type) CROSS JOIN LATERAL (
                SELECT e.position
                FROM {schema}.events e
                WHERE e.type = k.type AND e.position > greatest(above, last)
                  AND NOT {schema}.is_hidden(e.partition, e.stream, e.version)
                ORDER BY e.position DESC
                LIMIT 1
            ) m;
        ELSE
            SELECT e.position INTO found
            FROM {schema}.events e
            WHERE e.position > greatest(above, last) AND NOT {schema}.is_hidden(e.partition, e.stream, e.version)
            ORDER BY e.position DESC
            LIMIT 1;
        END IF;
        last := greatest(last, found);
    END LOOP;
    RETURN last;
END
$$;

-- Waits until no other transaction changes the log, keeps others from it until
-- this one ends, and returns where the log ends. Whoever takes a turn must be
-- one statement that is a transaction of its own: then no client that is slow,
-- or dies, can hold up the others.
CREATE OR REPLACE FUNCTION {schema}.take_turn(clock timestamptz,
    OUT "position" bigint, OUT ordinal bigint, OUT recorded_at timestamptz, OUT deletions bigint)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    -- What others have committed before this turn must be seen in it.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the log is only changed at the isolation level READ COMMITTED, this transaction is at %', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM pg_advisory_xact_lock({class}, '{schema}.events'::regclass::oid::int);
    SELECT greatest(s.position, e.position), greatest(s.ordinal, e.ordinal), greatest(s.recorded_at, e.recorded_at, coalesce(clock, clock_timestamp())), s.deletions
    INTO "position", ordinal, recorded_at, deletions
    FROM {schema}.store s
    LEFT JOIN LATERAL (
        SELECT l.position, l.ordinal, l.recorded_at FROM {schema}.events l ORDER BY l.position DESC LIMIT 1
    ) e ON true;
END
$$;

-- Whether a stream that ends at a version and changeset, and has events or not,
-- is where an append expects it: 0 anywhere, 1 without events, 2 with events,
-- 3 at a version, 4 at a changeset.
CREATE OR REPLACE FUNCTION {schema}.holds(expect smallint, place bigint, version bigint, changeset bigint, live boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE expect WHEN 0 THEN true WHEN 1 THEN NOT live WHEN 2 THEN live WHEN 3 THEN version = place ELSE changeset = place END;

-- Whether an append with the id was stored, or is promised.
CREATE OR REPLACE FUNCTION {schema}.is_known(a_id uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM {schema}.events e WHERE e.append_id = a_id)
    OR EXISTS (SELECT FROM {schema}.deleted_changesets d WHERE d.append_id = a_id);

-- Tells those who wait for the log to grow, if there are any: they share a lock
-- that can be had alone where nobody waits.
CREATE OR REPLACE FUNCTION {schema}.ring() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock({class} + 1, '{schema}.events'::regclass::oid::int) THEN
        PERFORM pg_notify('daybook_' || '{schema}.events'::regclass::oid, '');
    END IF;
END
$$;

-- Which appends the conditions, references, releases and claims of append keep
-- from being stored, and why. Of an append only the first reason counts.
CREATE OR REPLACE FUNCTION {schema}.check_besides(besides jsonb, accepted boolean[], s_partition text[], s_name text[],
    c_append int[], c_stream int[], live boolean[]) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    refused jsonb := '[]';
    it      jsonb;
    n       int; -- the append of it
    own     int; -- its stream
    found   bigint;
    holder  text;
BEGIN
    FOR it IN SELECT c FROM jsonb_array_elements(besides -> 'conditions') c LOOP
        n := (it ->> 'append')::int;
        CONTINUE WHEN NOT accepted[n];
        found := {schema}.last_match(it -> 'items', (it ->> 'after')::bigint);
        IF found > 0 THEN
            accepted[n] := false;
            refused := refused || jsonb_build_object('append', n, 'why', 'condition', 'position', found);
        END IF;
    END LOOP;
    FOR it IN SELECT r FROM jsonb_array_elements(besides -> 'references') r LOOP
        n := c_append[(it ->> 'changeset')::int];
        CONTINUE WHEN NOT accepted[n];
        -- What the same append creates counts.
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(c_append, c_stream) c(append, stream)
            WHERE c.append = n AND s_partition[c.stream] = it ->> 'partition' AND s_name[c.stream] = it ->> 'name');
        CONTINUE WHEN EXISTS (
            SELECT FROM {schema}.head(it ->> 'partition', it ->> 'name') h WHERE h.first <= h.version);
        accepted[n] := false;
        refused := refused || (it || jsonb_build_object('append', n, 'why', 'reference'));
    END LOOP;
    FOR it IN SELECT r || '{"release": true}' FROM jsonb_array_elements(besides -> 'releases') r
        UNION ALL SELECT c FROM jsonb_array_elements(besides -> 'claims') c
    LOOP
        n := c_append[(it ->> 'changeset')::int];
        own := c_stream[(it ->> 'changeset')::int];
        CONTINUE WHEN NOT accepted[n];
        SELECT k.stream INTO holder FROM {schema}.claims k
        WHERE k.partition = s_partition[own] AND {schema}.claim_key(k.kind) = {schema}.claim_key(it ->> 'kind')
          AND {schema}.claim_key(k.value) = {schema}.claim_key(it ->> 'value');
        CONTINUE WHEN holder IS NULL OR holder = s_name[own];
        -- The releases of an append are carried out before its claims.
        CONTINUE WHEN NOT it ? 'release' AND EXISTS (
            SELECT FROM jsonb_array_elements(besides -> 'releases') r
            WHERE c_append[(r ->> 'changeset')::int] = n AND s_partition[c_stream[(r ->> 'changeset')::int]] = s_partition[own]
              AND r ->> 'kind' = it ->> 'kind' AND r ->> 'value' = it ->> 'value');
        accepted[n] := false;
        refused := refused || (it || jsonb_build_object('append', n, 'why', 'claim', 'holder', holder));
    END LOOP;
    RETURN refused;
END
$$;

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
-- {"append", "why": "repeated"}, {"append", "why": "conflict", "changeset", "head"}.
CREATE OR REPLACE FUNCTION {schema}.append(
    clock timestamptz, append_ids uuid[], s_partition text[], s_name text[],
    c_append int[], c_stream int[], c_expect smallint[], c_at bigint[], c_count int[], c_detailed boolean[],
    e_changeset int[], e_place int[], e_nth int[], e_id uuid[], e_type text[], e_content_type text[], e_json text[], e_data bytea[],
    e_occurred_at timestamptz[], e_tags text[], e_context text[], e_metadata bytea[],
    tagged boolean, besides jsonb,
    OUT end_position bigint, OUT end_ordinal bigint, OUT end_recorded_at timestamptz, OUT deletions bigint,
    OUT s_version bigint[], OUT s_changeset bigint[], OUT refused jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    live       boolean[]; -- of each stream: it has events
    accepted   boolean[]; -- of each append
    c_position bigint[];  -- of each changeset: the position before its first event
    c_ordinal  bigint[];
    c_version  bigint[];  -- the version before its first event
    c_number   bigint[];
    it         jsonb;
    i          int;
BEGIN
    SELECT t.position, t.ordinal, t.recorded_at, t.deletions INTO end_position, end_ordinal, end_recorded_at, deletions FROM {schema}.take_turn(clock) t;

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
    FOR i IN 1 .. cardinality(c_append) LOOP
        IF c_expect[i] > 0 AND accepted[c_append[i]] AND NOT {schema}.holds(c_expect[i], c_at[i], s_version[c_stream[i]], s_changeset[c_stream[i]], live[c_stream[i]]) THEN
            accepted[c_append[i]] := false;
            refused := refused || jsonb_build_object('append', c_append[i], 'why', 'conflict', 'changeset', i,
                'head', (SELECT to_jsonb(h) FROM {schema}.head(s_partition[c_stream[i]], s_name[c_stream[i]]) h));
        END IF;
    END LOOP;
    IF besides IS NOT NULL THEN
        FOR it IN SELECT r FROM jsonb_array_elements({schema}.check_besides(besides, accepted, s_partition, s_name, c_append, c_stream, live)) r LOOP
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

-- Stores appends of plain events whose outcome the caller has worked out: he
-- knows where each stream ends, from a state of the log with that last position
-- and so many deletions. If the log is still in that state nothing else can
-- stand in the way, and all of them are stored; else none, and it returns null.
-- Otherwise it returns the recorded time, which is not before the one given.
--
-- It does what append does, without looking anything up. That an append was
-- stored before shows when its id is added to the index, as an error.
CREATE OR REPLACE FUNCTION {schema}.append_known(looked bigint, looked_ordinal bigint, looked_deletions bigint, not_before timestamptz, clock timestamptz,
    e_version bigint[], e_ordinal int[], e_changeset bigint[], e_place int[], e_count int[], e_nth int[], e_append_id uuid[], e_id uuid[],
    e_partition text[], e_stream text[], e_type text[], e_json text[]) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    stored int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN NULL; -- append says why
    END IF;
    PERFORM pg_advisory_xact_lock({class}, '{schema}.events'::regclass::oid::int);
    not_before := greatest(not_before, coalesce(clock, clock_timestamp()));
    INSERT INTO {schema}.events (position, version, ordinal, changeset, place, count, nth, append_id, id, recorded_at, partition, stream, type, json)
    SELECT looked + e.n, e.version, looked_ordinal + e.ordinal, e.changeset, e.place, e.count, e.nth, e.append_id, e.id, not_before, e.partition, e.stream, e.type, e.json
    FROM unnest(e_version, e_ordinal, e_changeset, e_place, e_count, e_nth, e_append_id, e_id, e_partition, e_stream, e_type, e_json)
        WITH ORDINALITY e(version, ordinal, changeset, place, count, nth, append_id, id, partition, stream, type, json, n)
    WHERE looked = (SELECT l.position FROM {schema}.events l ORDER BY l.position DESC LIMIT 1)
      AND looked_deletions = (SELECT s.deletions FROM {schema}.store s WHERE s.only_row)
      AND (looked_deletions = 0 OR NOT EXISTS (SELECT FROM {schema}.deleted_changesets d WHERE d.append_id = ANY (e_append_id)));
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored = 0 THEN
        RETURN NULL;
    END IF;
    IF NOT pg_try_advisory_xact_lock({class} + 1, '{schema}.events'::regclass::oid::int) THEN
        PERFORM {schema}.ring();
    END IF;
    RETURN not_before;
END
$$;

-- Deletes the changesets of a stream that end at a version or below; 0 is all.
-- They are hidden at once; remove_hidden removes their rows.
CREATE OR REPLACE FUNCTION {schema}.delete_stream(clock timestamptz, a_id uuid, a_partition text, a_stream text,
    expect smallint, place bigint, asked bigint, a_scrub boolean, a_who text, a_why text,
    OUT repeated boolean, OUT conflict jsonb)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    log_end record;
    head    record;
    cut     record; -- the last event that goes
    turn    bigint;
    gone    bigint := 0;
    whole   bigint := 0;
BEGIN
    SELECT * INTO log_end FROM {schema}.take_turn(clock);
    repeated := EXISTS (SELECT FROM {schema}.deletions d WHERE d.id = a_id);
    IF repeated THEN
        RETURN;
    END IF;
    SELECT h.* INTO head FROM {schema}.head(a_partition, a_stream) h;
    IF NOT {schema}.holds(expect, place, coalesce(head.version, 0), coalesce(head.changeset, 0), coalesce(head.first <= head.version, false)) THEN
        conflict := coalesce(to_jsonb(head), '{}');
        RETURN;
    END IF;
    SELECT e.version, e.changeset INTO cut
    FROM {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version >= head.first AND e.place = e.count - 1
      AND (asked = 0 OR e.version <= asked)
    ORDER BY e.version DESC
    LIMIT 1;
    IF cut.version IS NOT NULL THEN
        gone := cut.version - head.first + 1;
        SELECT cut.changeset - e.changeset + 1 INTO whole
        FROM {schema}.events e
        WHERE e.stream = a_stream AND e.partition = a_partition AND e.version = head.first;
        INSERT INTO {schema}.hidden AS h (partition, stream, through) VALUES (a_partition, a_stream, cut.version)
        ON CONFLICT (partition, stream) DO UPDATE SET through = greatest(h.through, excluded.through);
        UPDATE {schema}.streams s
        SET first = cut.version + 1,
            (version, changeset, position, recorded_at) = (SELECT head.version, head.changeset, head.position, head.recorded_at WHERE cut.version = head.version)
        WHERE s.partition = a_partition AND s.name = a_stream;
        IF cut.version = head.version THEN
            DELETE FROM {schema}.claims k WHERE k.partition = a_partition AND k.stream = a_stream;
        END IF;
    END IF;
    UPDATE {schema}.store s
    SET deletions = s.deletions + 1, position = log_end.position, ordinal = log_end.ordinal, recorded_at = log_end.recorded_at
    RETURNING s.deletions INTO turn;
    INSERT INTO {schema}.deletions (number, id, partition, stream, asked_through, scrub, who, why, recorded_at, through, changesets, records)
    VALUES (turn, a_id, a_partition, a_stream, asked, a_scrub, a_who, a_why, log_end.recorded_at,
        coalesce(cut.version, head.first - 1, 0), whole, gone);
END
$$;

-- Removes rows of hidden events of a stream, whole changesets, about as many as
-- asked. Returns how many; 0 when none are left. What receipts need is kept.
CREATE OR REPLACE FUNCTION {schema}.remove_hidden(a_partition text, a_stream text, about int) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    bound bigint;
    cut   bigint;
    gone  bigint;
BEGIN
    SELECT h.through INTO bound FROM {schema}.hidden h WHERE h.partition = a_partition AND h.stream = a_stream FOR UPDATE;
    IF bound IS NULL THEN
        RETURN 0;
    END IF;
    SELECT max(f.version - f.place + f.count - 1) INTO cut
    FROM (
        SELECT e.version, e.place, e.count FROM {schema}.events e
        WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= bound
        ORDER BY e.version LIMIT about
    ) f;
    IF cut IS NULL THEN
        DELETE FROM {schema}.hidden h WHERE h.partition = a_partition AND h.stream = a_stream;
        RETURN 0;
    END IF;
    INSERT INTO {schema}.deleted_changesets (append_id, ordinal, partition, stream, number, first, count, first_position, last_position, recorded_at)
    SELECT e.append_id, e.ordinal, e.partition, e.stream, e.changeset, min(e.version), e.count, min(e.position), max(e.position), e.recorded_at
    FROM {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut
    GROUP BY e.append_id, e.ordinal, e.partition, e.stream, e.changeset, e.count, e.recorded_at;
    DELETE FROM {schema}.tags t USING {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut AND t.position = e.position AND t.tag = ANY (e.tags);
    DELETE FROM {schema}.changesets c USING {schema}.events e
    WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut AND e.detailed AND c.ordinal = e.ordinal;
    DELETE FROM {schema}.events e WHERE e.stream = a_stream AND e.partition = a_partition AND e.version <= cut;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- Stores changesets as they are, if the log still ends where the caller has
-- looked: else nothing, and returns false. The arrays are as in append.
CREATE OR REPLACE FUNCTION {schema}.import(looked bigint,
    s_partition text[], s_name text[], s_first bigint[],
    c_append_id uuid[], c_stream int[], c_ordinal bigint[], c_number bigint[], c_first bigint[], c_count int[], c_recorded_at timestamptz[], c_detailed boolean[],
    e_changeset int[], e_place int[], e_nth int[], e_position bigint[], e_id uuid[], e_type text[], e_content_type text[], e_json text[], e_data bytea[],
    e_occurred_at timestamptz[], e_tags text[], e_context text[], e_metadata bytea[],
    besides jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    log_end record;
    it      record;
    every   boolean[] := array_fill(true, ARRAY[cardinality(c_count)]);
BEGIN
    SELECT * INTO log_end FROM {schema}.take_turn(NULL);
    IF log_end.position <> looked THEN
        RETURN false;
    END IF;
    INSERT INTO {schema}.streams (partition, name, first)
    SELECT * FROM unnest(s_partition, s_name, s_first) ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.events (position, version, ordinal, changeset, place, count, nth, append_id, id, recorded_at, occurred_at, detailed,
        partition, stream, type, content_type, json, data, tags, context, metadata)
    SELECT e.position, c_first[e.changeset] + e.place, c_ordinal[e.changeset], c_number[e.changeset],
        e.place, c_count[e.changeset], e.nth, c_append_id[e.changeset], e.id, c_recorded_at[e.changeset], e.occurred_at, c_detailed[e.changeset],
        s_partition[c_stream[e.changeset]], s_name[c_stream[e.changeset]], e.type, e.content_type, e.json, e.data, e.tags::text[], e.context::jsonb, e.metadata
    FROM unnest(e_changeset, e_place, e_nth, e_position, e_id, e_type, e_content_type, e_json, e_data, e_occurred_at, e_tags, e_context, e_metadata)
        e(changeset, place, nth, position, id, type, content_type, json, data, occurred_at, tags, context, metadata);
    INSERT INTO {schema}.tags (tag, position)
    SELECT t.tag, e.position FROM {schema}.events e CROSS JOIN unnest(e.tags) t(tag) WHERE e.position > looked;
    IF besides IS NOT NULL THEN
        -- One after the other: a claim may change hands more than once.
        FOR it IN
            SELECT s_partition[c_stream[r.changeset]] AS partition, s_name[c_stream[r.changeset]] AS stream, r.kind, r.value, r.release
            FROM jsonb_to_recordset(besides -> 'hands') r(changeset int, kind text, value text, release boolean)
        LOOP
            DELETE FROM {schema}.claims k
            WHERE k.partition = it.partition AND {schema}.claim_key(k.kind) = {schema}.claim_key(it.kind)
              AND {schema}.claim_key(k.value) = {schema}.claim_key(it.value);
            CONTINUE WHEN it.release;
            INSERT INTO {schema}.claims (partition, kind, value, stream) VALUES (it.partition, it.kind, it.value, it.stream);
        END LOOP;
        PERFORM {schema}.store_besides(besides, every, s_partition, s_name, (SELECT array_agg(n) FROM generate_series(1, cardinality(c_count)) n),
            c_stream, c_ordinal);
    END IF;
    PERFORM {schema}.ring();
    RETURN true;
END
$$;

-- The records of the log as analysts read them: data as jsonb where it is JSON,
-- and nothing that was deleted. See docs/postgres.md.
CREATE OR REPLACE VIEW {schema}.records AS
SELECT e.position, e.partition, e.stream, split_part(e.stream, '-', 1) AS stream_type, e.version, e.changeset, e.type,
       {schema}.json_of(e.json) AS data, e.tags, coalesce(e.occurred_at, e.recorded_at) AS occurred_at, e.recorded_at,
       e.context, e.id, e.append_id, coalesce(e.content_type, 'application/json') AS content_type
FROM {schema}.events e
WHERE NOT EXISTS (SELECT FROM {schema}.hidden h WHERE h.partition = e.partition AND h.stream = e.stream AND e.version <= h.through);

UPDATE {schema}.store SET version = 1;
