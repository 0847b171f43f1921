package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ViewOptions of TypedViews. Nil and zero fields mean the defaults.
type ViewOptions struct {
	// Types are the types of events that get a view. Default: all that have
	// records.
	Types []string
	// Records is how many records of each type, the newest, are looked at.
	// Default 0: all.
	Records int
	// Columns is how many fields of a type get a column; of more those that most
	// records have. All of them stay in the column data. Default 200.
	Columns int
}

// TypedView is a view of the events of one type.
type TypedView struct {
	Name    string // in the store's schema: "event_order_placed"
	Type    string // of the events
	Columns []TypedColumn
}

// TypedColumn is a column of a typed view for a field of the events' JSON.
type TypedColumn struct {
	Name  string // "unit_price"
	Field string // "unitPrice"
	Type  string // text, numeric, boolean, timestamptz, or jsonb
}

// TypedViews makes a view for each type of events in the store at a URL, with a
// column for each field that their JSON has at its top, and makes those anew that
// were made before: call it again when events have new fields. The columns' types
// are those that fit all records that were looked at; docs/postgres-views.md tells
// the rules. Where a later record does not fit the column is null, or text for
// text, and data tells what it holds. It is for the owner of the store.
//
// All views are made, or none. It fails with an error that matches
// daybook.ErrRefused where something else has the name of a view, or where a view
// must change its columns and views of others depend on it.
func TypedViews(ctx context.Context, url string, options *ViewOptions) ([]TypedView, error) {
	var o ViewOptions
	if options != nil {
		o = *options
	}
	if o.Columns <= 0 {
		o.Columns = 200
	}
	d, err := connect(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, err := d.version(ctx, d.pool)
	if err == nil && found != Version {
		err = &VersionError{Schema: d.options.Schema, Found: found, Version: Version}
	}
	if err != nil {
		return nil, explained(err, d.options.Schema)
	}
	if err := d.settlePromised(ctx); err != nil {
		return nil, err
	}
	var views []TypedView
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		// One after the other, and not beside a migration.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockClass, -1); err != nil {
			return err
		}
		if views, err = d.shapes(ctx, tx, &o); err != nil {
			return err
		}
		if err := d.nameViews(ctx, tx, views); err != nil {
			return err
		}
		for i := range views {
			if err := d.makeView(ctx, tx, &views[i]); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, d.sql.in("SELECT {schema}.grant_rights(NULL, NULL)"))
		return err
	})
	if err != nil {
		return nil, explained(err, d.options.Schema)
	}
	return views, nil
}

// shapes finds out which fields the events of each type have.
func (d *Driver) shapes(ctx context.Context, tx pgx.Tx, o *ViewOptions) ([]TypedView, error) {
	rows, err := tx.Query(ctx, d.sql.in(`
		SELECT t.type, coalesce(f.key, ''), f.key IS NULL, count(*), CASE
				WHEN bool_and(jsonb_typeof(f.value) = 'number') FILTER (WHERE jsonb_typeof(f.value) <> 'null') THEN 'numeric'
				WHEN bool_and(jsonb_typeof(f.value) = 'boolean') FILTER (WHERE jsonb_typeof(f.value) <> 'null') THEN 'boolean'
				WHEN bool_and(jsonb_typeof(f.value) = 'string') FILTER (WHERE jsonb_typeof(f.value) <> 'null') THEN
					CASE WHEN bool_and({schema}.time_of(f.value #>> '{}') IS NOT NULL) FILTER (WHERE jsonb_typeof(f.value) = 'string') THEN 'timestamptz' ELSE 'text' END
				ELSE 'jsonb' END
		FROM (SELECT DISTINCT e.type FROM {schema}.events e WHERE $1::text[] IS NULL OR e.type = ANY ($1)) t
		CROSS JOIN LATERAL (
			SELECT {schema}.json_of(e.json) AS data FROM {schema}.events e WHERE e.type = t.type AND `+visible+`
			ORDER BY e.position DESC LIMIT nullif($2::bigint, 0)
		) j
		LEFT JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(j.data) = 'object' THEN j.data END) f ON true
		GROUP BY t.type, f.key
		ORDER BY t.type, count(*) DESC, f.key`), o.Types, int64(o.Records))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var views []TypedView
	for rows.Next() {
		var kind string
		var c TypedColumn
		var none bool
		if err := rows.Scan(&kind, &c.Field, &none, nil, &c.Type); err != nil {
			return nil, err
		}
		if len(views) == 0 || views[len(views)-1].Type != kind {
			views = append(views, TypedView{Type: kind})
		}
		if v := &views[len(views)-1]; !none && len(v.Columns) < o.Columns {
			v.Columns = append(v.Columns, c)
		}
	}
	for i := range views {
		views[i].nameColumns()
	}
	return views, rows.Err()
}

// viewColumns are what every typed view begins with.
var viewColumns = []string{"position", "partition", "stream", "version", "occurred_at", "recorded_at", "id", "tags", "context", "data"}

// nameColumns orders the columns by their fields, and gives them names.
func (v *TypedView) nameColumns() {
	slices.SortFunc(v.Columns, func(a, b TypedColumn) int { return strings.Compare(a.Field, b.Field) })
	taken := map[string]bool{}
	for _, name := range viewColumns {
		taken[name] = true
	}
	for i := range v.Columns {
		name := plainName(v.Columns[i].Field)
		if slices.Contains(viewColumns, name) {
			name = "data_" + name
		}
		v.Columns[i].Name = freeName(name, taken)
	}
}

// viewComment begins the comment by which a typed view is known; its type follows.
const viewComment = "daybook: events of type "

// nameViews gives the views their names: those that they had, else new ones that
// no other relation has.
func (d *Driver) nameViews(ctx context.Context, tx pgx.Tx, views []TypedView) error {
	rows, err := tx.Query(ctx, `
		SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind = 'v'`, d.options.Schema)
	if err != nil {
		return err
	}
	names, taken := map[string]string{}, map[string]bool{}
	var name, comment string
	if _, err := pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		if kind, ours := strings.CutPrefix(comment, viewComment); ours {
			names[kind], taken[name] = name, true
		}
		return nil
	}); err != nil {
		return err
	}
	for i := range views {
		v := &views[i]
		if v.Name = names[v.Type]; v.Name == "" {
			v.Name = freeName("event_"+plainName(v.Type), taken)
		}
	}
	return nil
}

// makeView makes a view, in place of the one that it was.
func (d *Driver) makeView(ctx context.Context, tx pgx.Tx, v *TypedView) error {
	name := d.schema + "." + pgx.Identifier{v.Name}.Sanitize()
	var own bool
	err := tx.QueryRow(ctx, "SELECT coalesce(obj_description(to_regclass($1), 'pg_class') = $2, to_regclass($1) IS NULL)", name, viewComment+v.Type).Scan(&own)
	if err != nil {
		return err
	}
	if !own {
		return &RefusedError{Err: fmt.Errorf("%s is there, and is no typed view of events of type %q", name, v.Type), Hint: "rename or drop it"}
	}
	replace := func(sql string) error {
		return pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
			_, err := inner.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
			return err
		})
	}
	create := d.sql.in("VIEW ") + name + " AS\n" + v.query(d.sql)
	err = replace("CREATE OR REPLACE " + create)
	if from, ok := errors.AsType[*pgconn.PgError](err); ok && from.Code == "42P16" {
		// Its columns change: that is another view.
		if err = replace("DROP VIEW " + name + "; CREATE " + create); err != nil {
			if from, ok := errors.AsType[*pgconn.PgError](err); ok && from.Code == "2BP01" {
				return &RefusedError{Err: from, Hint: "its columns have changed: drop what depends on it, and make that again afterwards"}
			}
		}
	}
	if err != nil {
		return err
	}
	comments := "COMMENT ON VIEW " + name + " IS " + quoted(viewComment+v.Type)
	for _, c := range v.Columns {
		comments += "; COMMENT ON COLUMN " + name + "." + pgx.Identifier{c.Name}.Sanitize() + " IS " + quoted("field "+c.Field)
	}
	return replace(comments)
}

// query returns the SELECT of a view. The JSON is read once a row, hence OFFSET 0.
func (v *TypedView) query(sql statements) string {
	var b strings.Builder
	b.WriteString("SELECT e.position, e.partition, e.stream, e.version, coalesce(e.occurred_at, e.recorded_at) AS occurred_at, e.recorded_at, e.id, e.tags, e.context, j.data")
	for _, c := range v.Columns {
		field := quoted(c.Field)
		value := "(j.data -> " + field + ")"
		switch c.Type {
		case "numeric":
			value = "CASE jsonb_typeof(j.data -> " + field + ") WHEN 'number' THEN (j.data ->> " + field + ")::numeric END"
		case "boolean":
			value = "CASE jsonb_typeof(j.data -> " + field + ") WHEN 'boolean' THEN (j.data -> " + field + ")::boolean END"
		case "timestamptz":
			value = sql.in("{schema}.time_of") + "(j.data ->> " + field + ")"
		case "text":
			value = "(j.data ->> " + field + ")"
		}
		b.WriteString(",\n    " + value + " AS " + pgx.Identifier{c.Name}.Sanitize())
	}
	b.WriteString(sql.in("\nFROM {schema}.events e CROSS JOIN LATERAL (SELECT {schema}.json_of(e.json) AS data OFFSET 0) j\nWHERE " + visible + " AND e.type = "))
	b.WriteString(quoted(v.Type))
	return b.String()
}

// quoted returns a text as SQL writes it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// plainName makes a name that SQL takes without quotes, unless it is a word of
// SQL: letters and digits with "_" between, "unit_price" of "unitPrice".
func plainName(text string) string {
	var b strings.Builder
	wasLower, wasOther := false, false
	for _, r := range text {
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		if (unicode.IsUpper(r) && wasLower || wasOther && letter) && b.Len() > 0 {
			b.WriteByte('_')
		}
		if letter {
			b.WriteRune(unicode.ToLower(r))
		}
		wasLower, wasOther = unicode.IsLower(r) || unicode.IsDigit(r), !letter
	}
	name := b.String()
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return cutName(name, maxSchemaLen)
}

// freeName returns a name that is not taken, with a number behind it if need be,
// and takes it.
func freeName(name string, taken map[string]bool) string {
	name = cutName(name, maxSchemaLen)
	free := name
	for n := 2; taken[free]; n++ {
		tail := fmt.Sprintf("_%d", n)
		free = cutName(name, maxSchemaLen-len(tail)) + tail
	}
	taken[free] = true
	return free
}

// cutName cuts a name to so many bytes, between characters.
func cutName(name string, length int) string {
	for len(name) > length {
		runes := []rune(name)
		name = string(runes[:len(runes)-1])
	}
	return name
}
