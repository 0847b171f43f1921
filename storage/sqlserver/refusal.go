package sqlserver

import (
	"database/sql"

	"github.com/daybook-go/daybook/internal/sqlstore"
)

// readRefusal reads a row of the third result of the procedure append.
func readRefusal(rows *sql.Rows) (r sqlstore.Refusal, err error) {
	var changeset, version, number, first, position, found sql.NullInt64
	var recordedAt sql.NullTime
	var partition, name, kind, value, holder []byte
	err = rows.Scan(&r.Append, &r.Why, &changeset, &version, &number, &first, &position, &recordedAt, &found, &partition, &name, &kind, &value, &holder)
	r.Changeset, r.Position = int(changeset.Int64), found.Int64
	r.Partition, r.Name, r.Kind, r.Value, r.Holder = string(partition), string(name), string(kind), string(value), string(holder)
	r.Head = &sqlstore.Head{
		Version: version.Int64, Changeset: number.Int64, First: first.Int64, Position: position.Int64, RecordedAt: recordedAt.Time,
	}
	return r, err
}
