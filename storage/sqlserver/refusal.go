package sqlserver

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// refusal says why the procedure append did not store an append. Which fields
// count hangs on why.
type refusal struct {
	append          int // counted from 1
	why             string
	changeset       int          // of the batch, counted from 1: which one is refused
	head            daybook.Head // conflict
	found           int64        // condition
	partition, name []byte       // reference
	kind, value     []byte       // claim
	holder          []byte
}

// scan reads a row of the third result of the procedure append.
func (r *refusal) scan(rows *sql.Rows) error {
	var changeset, version, number, first, position, found sql.NullInt64
	var recordedAt sql.NullTime
	err := rows.Scan(&r.append, &r.why, &changeset, &version, &number, &first, &position, &recordedAt, &found,
		&r.partition, &r.name, &r.kind, &r.value, &r.holder)
	r.changeset, r.found = int(changeset.Int64), found.Int64
	r.head = headOf(version.Int64, number.Int64, first.Int64, position.Int64, recordedAt.Time)
	return err
}

// headOf returns a head of columns; all zero for a stream that never was.
func headOf(version, changeset, first, position int64, recordedAt time.Time) daybook.Head {
	h := daybook.Head{
		Version: daybook.Version(version), Changeset: daybook.ChangesetNumber(changeset), First: daybook.Version(first), Position: daybook.Position(position),
	}
	if version > 0 {
		h.RecordedAt = recordedAt.UTC()
	}
	return h
}

// err returns the error for the append whose first changeset is that one of
// the batch.
func (r *refusal) err(a *daybook.Append, first int) error {
	if r.why == "condition" && a.Condition != nil {
		return &daybook.ConditionError{Condition: *a.Condition, Found: daybook.Position(r.found)}
	}
	n := r.changeset - first
	if n < 0 || n >= len(a.Changesets) {
		return fmt.Errorf("sqlserver: the server's answer is not understood, the outcome is unknown: %q of changeset %d", r.why, r.changeset)
	}
	c := &a.Changesets[n]
	switch r.why {
	case "conflict":
		return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: r.head}
	case "reference":
		return &daybook.ReferenceError{Stream: c.Stream, Reference: daybook.StreamID{Partition: string(r.partition), Name: string(r.name)}}
	case "claim":
		return &daybook.ClaimError{
			Stream: c.Stream, Claim: daybook.Claim{Kind: string(r.kind), Value: string(r.value)},
			Holder: daybook.StreamID{Partition: c.Stream.Partition, Name: string(r.holder)},
		}
	}
	return fmt.Errorf("sqlserver: the server's answer is not understood, the outcome is unknown: %q", r.why)
}
