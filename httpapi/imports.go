package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// imports stores records as they were recorded elsewhere: one a line, whole
// changesets, all or nothing.
func (h *Handler) imports(x *exchange) error {
	body, err := h.readBody(x)
	if err != nil {
		return err
	}
	var changesets []daybook.RecordedChangeset
	records, position := 0, daybook.Position(0)
	for changeset, err := range daybook.Changesets(decodeLines(body)) {
		if err != nil {
			return err
		}
		if err := checkAlike(&changeset); err != nil {
			return err
		}
		changesets = append(changesets, changeset)
		records += len(changeset.Records)
		position = changeset.Records[len(changeset.Records)-1].Position
	}
	if records == 0 {
		return &daybook.InvalidError{Field: "body", Value: "empty", Reason: "must hold at least one record"}
	}
	if err := h.store.Import(x.context(), changesets); err != nil {
		return err
	}
	x.out = append(x.out, `{"records":`...)
	x.out = strconv.AppendInt(x.out, int64(records), 10)
	x.out = append(x.out, `,"position":`...)
	x.out = strconv.AppendInt(x.out, int64(position), 10)
	x.out = append(x.out, "}\n"...)
	return nil
}

// decodeLines reads the records of NDJSON; empty lines are passed over. Its
// errors name the line, from 1.
func decodeLines(body []byte) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		number := 0
		for line := range bytes.Lines(body) {
			number++
			line = bytes.TrimSpace(line)
			if len(line) == 0 {
				continue
			}
			record, err := wire.DecodeRecord(line)
			var invalid *daybook.InvalidError
			if errors.As(err, &invalid) {
				invalid.Field = fmt.Sprintf("line %d: %s", number, invalid.Field)
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// checkAlike refuses a changeset whose records tell different things about it.
func checkAlike(c *daybook.RecordedChangeset) error {
	for _, r := range c.Records[1:] {
		if !reflect.DeepEqual(*r.Changeset, c.ChangesetHeader) || !r.RecordedAt.Equal(c.RecordedAt) {
			return &daybook.InvalidError{
				Field: "changeset", Value: fmt.Sprintf("that of the record at position %d", r.Position),
				Reason: "the records of one changeset must agree in changeset and recorded_at",
			}
		}
	}
	return nil
}
