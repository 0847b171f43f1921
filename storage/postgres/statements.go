package postgres

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook/internal/sqlstore"
)

// schemaFiles are the tables, functions and views of a store, an object a
// file. {schema} stands for the name of its schema, {class} for lockClass,
// {definer} for definer.
//
//go:embed schema
var schemaFiles embed.FS

// lockClass sets the advisory locks of stores apart from others in a database.
// The next two numbers are used too.
const lockClass = 0x64617962

// definer makes a function run with the rights of who owns the store: those who
// call it need none on the tables. Nothing of theirs is found by its names.
const definer = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

// eventColumns is what records are made of: see readRow.
const eventColumns = `e.position, e.version, e.ordinal, e.changeset, e.place, e.count, e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	e.partition, e.stream, e.type, e.content_type, e.json, e.data, e.tags, e.context, e.metadata`

// visible is the condition that an event e was not deleted. Most often nothing
// is hidden, which is found out once for all rows.
const visible = `(NOT (SELECT EXISTS (SELECT FROM {schema}.hidden)) OR NOT EXISTS (SELECT FROM {schema}.hidden h WHERE h.partition = e.partition AND h.stream = e.stream AND e.version <= h.through))`

// unsettled is the question whether something is promised and committed that has
// no position yet.
const unsettled = `EXISTS (SELECT FROM {schema}.promised)`

// statements are the SQL that the driver sends, for one schema.
type statements struct {
	schema                                                                                                                                                  string
	appends, appendKnown, receipts, heads, end, changesets, claim, deletion, deletions, deleteStream, hiddenStreams, removeHidden, importing, known, stands string
	settle, unsettled, promise, promisedReceipts                                                                                                            string
	partitionSize                                                                                                                                           int64 // of a store that is made; 0 is none
}

func newStatements(schema string, partitionSize int64) statements {
	s := statements{schema: schema, partitionSize: partitionSize}
	s.appends = s.in(`SELECT * FROM {schema}.append(` + sqlstore.Parameters("$", 24) + `)`)
	s.appendKnown = s.in(`SELECT {schema}.append_known(` + sqlstore.Parameters("$", 23) + `)`)
	s.importing = s.in(`SELECT {schema}.import(` + sqlstore.Parameters("$", 26) + `)`)
	s.receipts = s.in(`
		SELECT e.append_id, e.ordinal, e.partition, e.stream, e.changeset, min(e.version), max(e.count), min(e.position), max(e.position), e.recorded_at
		FROM {schema}.events e WHERE e.append_id = ANY ($1)
		GROUP BY e.append_id, e.ordinal, e.partition, e.stream, e.changeset, e.recorded_at
		UNION
		SELECT d.append_id, d.ordinal, d.partition, d.stream, d.number, d.first, d.count, d.first_position, d.last_position, d.recorded_at
		FROM {schema}.deleted_changesets d WHERE d.append_id = ANY ($1)
		ORDER BY 1, 2`)
	s.known = s.in(`SELECT e.append_id, max(e.nth) FROM {schema}.events e WHERE e.append_id = ANY ($1) GROUP BY 1`)
	s.stands = s.in(`
		SELECT EXISTS (SELECT FROM {schema}.events e WHERE e.position = $2 AND e.append_id = $1)
			OR EXISTS (SELECT FROM {schema}.deleted_changesets d WHERE d.append_id = $1 AND d.last_position = $2)`)
	s.heads = s.in(`
		SELECT n, coalesce(h.version, 0), coalesce(h.changeset, 0), coalesce(h.first, 0), coalesce(h.position, 0), h.recorded_at, ` + unsettled + `
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY s(partition, name, n) LEFT JOIN LATERAL {schema}.head(s.partition, s.name) h ON true`)
	s.unsettled = s.in(`SELECT ` + unsettled)
	s.settle = s.in(`SELECT {schema}.settle($1)`)
	s.promise = s.in(`SELECT * FROM {schema}.promise(` + sqlstore.Parameters("$", 23) + `)`)
	s.promisedReceipts = s.in(`
		SELECT e.append_id, e.in_append::bigint, e.partition, e.stream, e.changeset, min(e.version), max(e.count), 0::bigint, 0::bigint, 'epoch'::timestamptz
		FROM {schema}.promised_events e WHERE e.append_id = ANY ($1)
		GROUP BY e.append_id, e.in_append, e.partition, e.stream, e.changeset
		ORDER BY 1, 2`)
	s.end = s.in(`
		SELECT greatest(s.position, e.position), greatest(s.ordinal, e.ordinal), greatest(s.recorded_at, e.recorded_at), ` + unsettled + `
		FROM {schema}.store s LEFT JOIN LATERAL (
			SELECT l.position, l.ordinal, l.recorded_at FROM {schema}.events l ORDER BY l.position DESC LIMIT 1
		) e ON true`)
	s.changesets = s.in(`SELECT c.ordinal, c.metadata, c.claims, c.releases, c.refers_to FROM {schema}.changesets c WHERE c.ordinal = ANY ($1)`)
	s.claim = s.in(`
		SELECT (
			SELECT k.stream FROM {schema}.claims k
			WHERE k.partition = $1 AND {schema}.claim_key(k.kind) = {schema}.claim_key($2) AND {schema}.claim_key(k.value) = {schema}.claim_key($3)
			  AND k.kind = $2 AND k.value = $3), ` + unsettled)
	const deletion = `
		SELECT d.number, d.id, d.partition, d.stream, d.asked_through, d.scrub, d.who, d.why, d.recorded_at, d.through, d.changesets, d.records,
			d.scrub AND NOT EXISTS (SELECT FROM {schema}.hidden h WHERE h.partition = d.partition AND h.stream = d.stream)
		FROM {schema}.deletions d `
	s.deletion = s.in(deletion + `WHERE d.id = $1`)
	s.deletions = s.in(deletion + `WHERE d.number > $1 AND ($2 = '' OR d.stream = $2 AND d.partition = $3) ORDER BY d.number LIMIT $4`)
	s.deleteStream = s.in(`SELECT * FROM {schema}.delete_stream(` + sqlstore.Parameters("$", 10) + `)`)
	s.hiddenStreams = s.in(`SELECT h.partition, h.stream FROM {schema}.hidden h ORDER BY 1, 2`)
	s.removeHidden = s.in(`SELECT {schema}.remove_hidden($1, $2, $3)`)
	return s
}

// in puts the name of the schema into a text of SQL.
func (s statements) in(text string) string {
	partitioned, size := "", "NULL, NULL"
	if s.partitionSize > 0 {
		partitioned, size = " PARTITION BY RANGE (position)", strconv.FormatInt(s.partitionSize, 10)+", 0"
	}
	return strings.NewReplacer("{schema}", s.schema, "{class}", strconv.Itoa(lockClass), "{definer}", definer,
		"{partitioned}", partitioned, "{partition_size}", size).Replace(text)
}

// script returns the SQL of the files in a folder of schemaFiles, in the order
// of their names.
func (s statements) script(folder string) (string, error) {
	texts, err := sqlstore.Scripts(schemaFiles, "schema/"+folder, s.in)
	return strings.Join(texts, "\n"), err
}

// migrations returns the SQL of the migrations above a version, whose numbers
// their names begin with: that of 0002-promises.sql leads from version 1 to 2.
func (s statements) migrations(above int) (string, error) {
	const folder = "schema/migrations"
	files, err := fs.ReadDir(schemaFiles, folder)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, file := range files {
		number, _, _ := strings.Cut(file.Name(), "-")
		to, err := strconv.Atoi(number)
		if err != nil {
			return "", fmt.Errorf("postgres: migration %s: %w", file.Name(), err)
		}
		if to <= above {
			continue
		}
		text, err := schemaFiles.ReadFile(path.Join(folder, file.Name()))
		if err != nil {
			return "", err
		}
		b.WriteString(s.in(string(text)))
		b.WriteString("\n")
	}
	return b.String(), nil
}
