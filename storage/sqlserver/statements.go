package sqlserver

import (
	"embed"
	"strings"

	"github.com/daybook-go/daybook/internal/sqlstore"
)

// schemaFiles are the tables, functions, procedures and views of a store, an
// object a file. {schema} stands for the name of its schema, {collation} for
// the collation of texts, {resource} for the name of the lock of its turns.
//
//go:embed schema
var schemaFiles embed.FS

// collation keeps texts as UTF-8 and orders them by it.
const collation = "Latin1_General_100_BIN2_UTF8"

// eventColumns is what records are made of: see readRow. A text is read as its
// bytes, since go-mssqldb takes those of a collation of UTF-8 for another code.
const eventColumns = `e.position, e.version, e.ordinal, e.changeset, e.place, e.[count], e.append_id, e.id, e.recorded_at, e.occurred_at, e.detailed,
	s.partition_key, s.name_key, e.type_key, CAST(e.content_type AS varbinary(4096)), CAST(e.[json] AS varbinary(max)), e.data,
	CAST(e.tags AS varbinary(max)), CAST(e.context AS varbinary(max)), e.metadata`

// visible is the condition that an event e was not deleted.
const visible = `NOT EXISTS (SELECT 1 FROM {schema}.hidden h WHERE h.stream_id = e.stream_id AND e.version <= h.through)`

// serverQuery tells what is connected to.
// https://learn.microsoft.com/sql/t-sql/functions/serverproperty-transact-sql
// https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
const serverQuery = `SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS int), CAST(SERVERPROPERTY('EngineEdition') AS int), DB_NAME(),
	CAST(d.compatibility_level AS int), d.is_read_committed_snapshot_on
FROM sys.databases d WHERE d.database_id = DB_ID()`

// statements are the SQL that the driver sends, for one schema.
type statements struct {
	schema, resource                                                                          string // as SQL has them: a name, and a text
	appends, importing, stands, deleteStream, removeHidden                                    string
	receipts, known, head, end, changesets, claim, deletion, deletions, hiddenStreams, counts string
}

func newStatements(schema string) statements {
	s := statements{schema: quotedName(schema), resource: quotedText("daybook " + schema)}
	// https://learn.microsoft.com/sql/t-sql/language-elements/execute-transact-sql
	s.appends = s.in(`EXEC {schema}.append ` + sqlstore.Parameters("@p", 8))
	s.importing = s.in(`EXEC {schema}.import ` + sqlstore.Parameters("@p", 6))
	s.deleteStream = s.in(`EXEC {schema}.delete_stream ` + sqlstore.Parameters("@p", 12))
	s.removeHidden = s.in(`EXEC {schema}.remove_hidden ` + sqlstore.Parameters("@p", 2))
	const ids = `(SELECT CONVERT(binary(16), j.value, 2) FROM OPENJSON(@p1) j)`
	s.receipts = s.in(`
		SELECT r.append_id, r.ordinal, s.partition_key, s.name_key, r.number, r.[first], r.[count], r.first_position, r.last_position, r.recorded_at
		FROM (
			SELECT e.append_id, e.ordinal, e.stream_id, e.changeset AS number, MIN(e.version) AS [first], MAX(e.[count]) AS [count],
				MIN(e.position) AS first_position, MAX(e.position) AS last_position, e.recorded_at
			FROM {schema}.events e WHERE e.append_id IN ` + ids + `
			GROUP BY e.append_id, e.ordinal, e.stream_id, e.changeset, e.recorded_at
			UNION
			SELECT d.append_id, d.ordinal, d.stream_id, d.number, d.[first], d.[count], d.first_position, d.last_position, d.recorded_at
			FROM {schema}.deleted_changesets d WHERE d.append_id IN ` + ids + `
		) r
		JOIN {schema}.streams s ON s.id = r.stream_id
		ORDER BY r.append_id, r.ordinal`)
	s.known = s.in(`SELECT e.append_id, MAX(e.nth) FROM {schema}.events e WHERE e.append_id IN ` + ids + ` GROUP BY e.append_id`)
	s.stands = s.in(`
		SELECT CASE WHEN EXISTS (SELECT 1 FROM {schema}.events e WHERE e.position = @p2 AND e.append_id = @p1)
			OR EXISTS (SELECT 1 FROM {schema}.deleted_changesets d WHERE d.append_id = @p1 AND d.last_position = @p2) THEN 1 ELSE 0 END`)
	s.head = s.in(`
		SELECT h.version, h.changeset, h.[first], h.position, h.recorded_at
		FROM {schema}.streams s CROSS APPLY {schema}.head(s.id) h WHERE s.partition_key = CAST(@p1 AS varbinary(256)) AND s.name_key = @p2`)
	s.end = s.in(`
		SELECT CASE WHEN e.position > s.position THEN e.position ELSE s.position END, CASE WHEN e.ordinal > s.ordinal THEN e.ordinal ELSE s.ordinal END,
			CASE WHEN e.recorded_at > s.recorded_at THEN e.recorded_at ELSE s.recorded_at END
		FROM {schema}.store s
		OUTER APPLY (SELECT TOP (1) l.position, l.ordinal, l.recorded_at FROM {schema}.events l ORDER BY l.position DESC) e`)
	s.changesets = s.in(`
		SELECT c.ordinal, c.metadata, CAST(c.claims AS varbinary(max)), CAST(c.releases AS varbinary(max)), CAST(c.refers_to AS varbinary(max))
		FROM {schema}.changesets c WHERE c.ordinal IN (SELECT CAST(j.value AS bigint) FROM OPENJSON(@p1) j)`)
	s.claim = s.in(`SELECT s.name_key FROM {schema}.claims k JOIN {schema}.streams s ON s.id = k.stream_id WHERE k.claim_key = @p1`)
	const deletionColumns = `d.number, d.id, d.partition_key, d.stream_key, d.asked_through, d.scrub, CAST(d.who AS varbinary(4096)), CAST(d.why AS varbinary(4096)),
			d.recorded_at, d.through, d.changesets, d.records,
			CASE WHEN d.scrub = 1 AND NOT EXISTS (
				SELECT 1 FROM {schema}.hidden h JOIN {schema}.streams s ON s.id = h.stream_id
				WHERE s.partition_key = d.partition_key AND s.name_key = d.stream_key) THEN 1 ELSE 0 END
		FROM {schema}.deletions d`
	s.deletion = s.in(`
		SELECT ` + deletionColumns + ` WHERE d.id = @p1`)
	s.deletions = s.in(`
		SELECT TOP (@p4) ` + deletionColumns + `
		WHERE d.number > @p1 AND (@p2 = 0x OR d.stream_key = @p2 AND d.partition_key = @p3) ORDER BY d.number`)
	s.hiddenStreams = s.in(`SELECT h.stream_id FROM {schema}.hidden h ORDER BY h.stream_id`)
	// https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-db-partition-stats-transact-sql
	// needs a right that not everybody has, so pages are counted from the catalog.
	s.counts = s.in(`
		SELECT COUNT_BIG(DISTINCT e.stream_id), COUNT_BIG(CASE WHEN e.place = 0 THEN 1 END), COUNT_BIG(*), COALESCE(MAX(e.changeset), 0),
			(SELECT COALESCE(SUM(a.total_pages), 0) * 8192
			 FROM sys.tables t JOIN sys.partitions p ON p.object_id = t.object_id JOIN sys.allocation_units a ON a.container_id IN (p.partition_id, p.hobt_id)
			 WHERE t.schema_id = SCHEMA_ID(` + quotedText(schema) + `))
		FROM {schema}.events e WHERE ` + visible)
	return s
}

// in puts the names of a schema into a text of SQL.
func (s statements) in(text string) string {
	return strings.NewReplacer("{schema}", s.schema, "{collation}", collation, "{resource}", s.resource).Replace(text)
}

// quotedName writes a name as SQL reads it.
// https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers
func quotedName(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// quotedText writes a text as SQL reads it.
func quotedText(text string) string { return "N'" + strings.ReplaceAll(text, "'", "''") + "'" }

// script returns the SQL of the files in a folder of schemaFiles, in the order
// of their names: each a batch of its own, since what makes a function, a
// procedure or a view must be the first of its batch.
func (s statements) script(folder string) ([]string, error) {
	return sqlstore.Scripts(schemaFiles, "schema/"+folder, s.in)
}
