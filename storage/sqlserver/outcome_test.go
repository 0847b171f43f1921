package sqlserver

import (
	"errors"
	"io"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/daybook-go/daybook"
)

func TestWhatIsRefusedAfterATryThatMayBeDoneIsNotCalledRefused(t *testing.T) {
	denied := mssql.Error{Number: 229, Message: "permission was denied"}
	for name, test := range map[string]struct {
		before  error
		refused bool
	}{
		"a lost connection":  {io.EOF, false},
		"a deadlock":         {mssql.Error{Number: 1205}, true},
		"a failed failover":  {mssql.Error{Number: 40197}, false},
		"a server that ends": {mssql.Error{Number: 6005}, false},
	} {
		d, server := faked(t, test.before, error(denied))
		_, err := d.Append(t.Context(), depositTo("a", daybook.ExpectAny(), 1))
		told, ok := errors.AsType[mssql.Error](err)
		if errors.Is(err, daybook.ErrRefused) != test.refused || !ok || told.Number != denied.Number || len(server.texts) != 2 {
			t.Errorf("after %s: %v, %d tries", name, err, len(server.texts))
		}
	}
}

func TestAnImportWhoseAnswerIsLostIsFoundInTheLog(t *testing.T) {
	c := daybook.RecordedChangeset{Stream: daybook.Stream("a"), RecordedAt: noon}
	c.Number, c.First, c.Count, c.AppendID = 1, 1, 1, daybook.NewID()
	c.Records = []daybook.Record{{
		Event: daybook.Event{ID: daybook.NewID(), Type: "t", ContentType: daybook.ContentTypeJSON}, Version: 1, Position: 70,
	}}
	end := results{{{int64(60), int64(20), noon}}}
	d, server := faked(t, end, results{{}}, results{{}}, error(io.EOF), results{{{false}}}, results{{{int64(1)}}})
	if err := d.Import(t.Context(), []daybook.RecordedChangeset{c}); err != nil {
		t.Error(err)
	}
	if len(server.answers) != 0 || d.bell.End() != 70 {
		t.Errorf("%d answers were not asked for, those who wait are told of position %d", len(server.answers), d.bell.End())
	}
}
