package sqlserver

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

var noon = time.Date(2026, 5, 6, 12, 0, 0, 123_456_000, time.UTC)

// depositTo returns an append of so many events to a stream.
func depositTo(stream string, expect daybook.Expect, events int) daybook.Append {
	c := daybook.Changeset{Stream: daybook.StreamID{Partition: "p", Name: stream}, Expect: expect}
	for range events {
		c.Events = append(c.Events, daybook.Event{ID: daybook.NewID(), Type: "deposited", ContentType: daybook.ContentTypeJSON, Data: []byte("{}")})
	}
	return daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{c}}
}

// batchOf returns appends as the queue sends them together.
func batchOf(t *testing.T, appends ...daybook.Append) *batch {
	t.Helper()
	b := &batch{}
	for i := range appends {
		if !b.Take(sqlstore.NewEntry(&appends[i])) {
			t.Fatalf("append %d does not go with those before", i+1)
		}
	}
	return b
}

// refused returns a row of the third result of append, of the columns that are
// named.
func refused(n int, why string, columns map[int]driver.Value) row {
	r := make(row, 14)
	r[0], r[1] = int64(n), why
	for i, value := range columns {
		r[i] = value
	}
	return r
}

func TestAReceiptFollowsFromWhereEverythingEndedBefore(t *testing.T) {
	a, b, c := depositTo("a", daybook.ExpectAny(), 2), depositTo("b", daybook.ExpectNone(), 1), depositTo("a", daybook.ExpectAny(), 3)
	d, _ := faked(t, results{
		{{int64(100), int64(40), noon, int64(0)}},
		{{int64(1), int64(7), int64(3)}, {int64(2), int64(0), int64(0)}},
		{refused(2, "conflict", map[int]driver.Value{2: int64(2), 3: int64(9), 4: int64(4), 5: int64(2), 6: int64(55), 7: noon})},
	})
	together := batchOf(t, a, b, c)
	d.send(t.Context(), together)
	first, second, third := together.Entries[0], together.Entries[1], together.Entries[2]
	stream := a.Changesets[0].Stream
	want := daybook.Receipt{AppendID: a.ID, RecordedAt: noon, Durability: daybook.DurabilityDisk, Changesets: []daybook.ChangesetReceipt{
		{Stream: stream, Number: 4, Ordinal: 41, First: 8, Last: 9, FirstPosition: 101, LastPosition: 102},
	}}
	if first.Err != nil || !reflect.DeepEqual(first.Receipt, want) {
		t.Errorf("the first gets %+v, %v\nwant %+v", first.Receipt, first.Err, want)
	}
	want = daybook.Receipt{AppendID: c.ID, RecordedAt: noon, Durability: daybook.DurabilityDisk, Changesets: []daybook.ChangesetReceipt{
		{Stream: stream, Number: 5, Ordinal: 42, First: 10, Last: 12, FirstPosition: 103, LastPosition: 105},
	}}
	if third.Err != nil || !reflect.DeepEqual(third.Receipt, want) {
		t.Errorf("the third gets %+v, %v\nwant %+v", third.Receipt, third.Err, want)
	}
	var conflict *daybook.ConflictError
	if !errors.As(second.Err, &conflict) {
		t.Fatalf("the second gets %v, want *daybook.ConflictError", second.Err)
	}
	head := daybook.Head{Version: 9, Changeset: 4, First: 2, Position: 55, RecordedAt: noon}
	if conflict.Stream != b.Changesets[0].Stream || conflict.Found != head || !conflict.Expect.None() {
		t.Errorf("the conflict is %+v", conflict)
	}
	if d.bell.End() != 105 {
		t.Errorf("those who wait are told of position %d, want 105", d.bell.End())
	}
}

func TestEachRefusalIsTheErrorOfItsAppend(t *testing.T) {
	conditional := depositTo("a", daybook.ExpectAny(), 1)
	conditional.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"closed"}}}}, After: 5}
	referring, claiming, fresh := depositTo("b", daybook.ExpectAny(), 1), depositTo("c", daybook.ExpectAny(), 1), depositTo("d", daybook.ExpectExists(), 1)
	d, _ := faked(t, results{
		{{int64(100), int64(40), noon, int64(0)}},
		{{int64(1), int64(0), int64(0)}, {int64(2), int64(0), int64(0)}, {int64(3), int64(0), int64(0)}, {int64(4), int64(0), int64(0)}},
		{
			refused(1, "condition", map[int]driver.Value{8: int64(77)}),
			refused(2, "reference", map[int]driver.Value{2: int64(2), 9: []byte("q"), 10: []byte("gone")}),
			refused(3, "claim", map[int]driver.Value{2: int64(3), 11: []byte("email"), 12: []byte("ann"), 13: []byte("user-1")}),
			refused(4, "conflict", map[int]driver.Value{2: int64(4)}),
		},
	})
	b := batchOf(t, conditional, referring, claiming, fresh)
	d.send(t.Context(), b)
	for i, want := range []error{
		&daybook.ConditionError{Condition: *conditional.Condition, Found: 77},
		&daybook.ReferenceError{Stream: referring.Changesets[0].Stream, Reference: daybook.StreamID{Partition: "q", Name: "gone"}},
		&daybook.ClaimError{
			Stream: claiming.Changesets[0].Stream, Claim: daybook.Claim{Kind: "email", Value: "ann"}, Holder: daybook.StreamID{Partition: "p", Name: "user-1"},
		},
		&daybook.ConflictError{Stream: fresh.Changesets[0].Stream, Expect: daybook.ExpectExists()},
	} {
		if got := b.Entries[i].Err; !reflect.DeepEqual(got, want) {
			t.Errorf("append %d gets %#v\nwant %#v", i+1, got, want)
		}
	}
}

// receiptOf is the row of the query for receipts that tells of an append.
func receiptOf(a daybook.Append, count int) row {
	id := a.Changesets[0].Stream
	return row{a.ID[:], int64(41), []byte(id.Partition), []byte(id.Name), int64(4), int64(8), int64(count), int64(101), int64(102), noon}
}

func TestAnAppendThatWasStoredBeforeIsAnsweredWithItsReceipt(t *testing.T) {
	a := depositTo("a", daybook.ExpectVersion(1), 2)
	verdict := results{{{int64(200), int64(50), noon, int64(0)}}, {{int64(1), int64(9), int64(4)}}, {refused(1, "repeated", nil)}}
	d, _ := faked(t, verdict, results{{receiptOf(a, 2)}})
	receipt, err := d.Append(t.Context(), a)
	want := daybook.Receipt{AppendID: a.ID, RecordedAt: noon, Durability: daybook.DurabilityDisk, Repeated: true, Changesets: []daybook.ChangesetReceipt{
		{Stream: a.Changesets[0].Stream, Number: 4, Ordinal: 41, First: 8, Last: 9, FirstPosition: 101, LastPosition: 102},
	}}
	if err != nil || !reflect.DeepEqual(receipt, want) {
		t.Errorf("got %+v, %v\nwant %+v", receipt, err, want)
	}
	verdict = results{{{int64(200), int64(50), noon, int64(0)}}, {{int64(1), int64(9), int64(4)}}, {refused(1, "repeated", nil)}}
	d, _ = faked(t, verdict, results{{receiptOf(a, 3)}})
	var reused *daybook.ReusedIDError
	if _, err := d.Append(t.Context(), a); !errors.As(err, &reused) {
		t.Errorf("an append of another shape gets %v, want *daybook.ReusedIDError", err)
	}
}

func TestAnAppendWhoseAnswerIsLostIsSentAgainWithTheSameID(t *testing.T) {
	for name, lost := range map[string]answer{
		"the connection ends":            error(io.ErrUnexpectedEOF),
		"it is the victim of a deadlock": error(mssql.Error{Number: 1205}),
		"the answer ends in the middle":  broken{results{{{int64(100), int64(40), noon, int64(0)}}}, io.ErrUnexpectedEOF},
		"an error behind the commit":     broken{results{{{int64(100), int64(40), noon, int64(0)}}}, mssql.Error{Number: 245}},
	} {
		t.Run(name, func(t *testing.T) {
			a := depositTo("a", daybook.ExpectNone(), 2)
			again := results{{{int64(102), int64(41), noon, int64(0)}}, {{int64(1), int64(9), int64(4)}}, {refused(1, "repeated", nil)}}
			d, server := faked(t, lost, again, results{{receiptOf(a, 2)}})
			receipt, err := d.Append(t.Context(), a)
			if err != nil || receipt.Position() != 102 {
				t.Fatalf("got %+v, %v", receipt, err)
			}
			if len(server.values) != 3 || !reflect.DeepEqual(server.values[0], server.values[1]) {
				t.Errorf("the server was sent %d statements, want the same twice, and a question for the receipt", len(server.values))
			}
		})
	}
}

func TestAnAppendThatTheServerRefusesIsNotSentAgain(t *testing.T) {
	d, server := faked(t, error(mssql.Error{Number: 1105, Message: "no room"}))
	if _, err := d.Append(t.Context(), depositTo("a", daybook.ExpectAny(), 1)); !errors.Is(err, daybook.ErrFull) {
		t.Errorf("got %v, want an error that matches ErrFull", err)
	}
	if len(server.texts) != 1 {
		t.Errorf("it was sent %d times", len(server.texts))
	}
}

// recordRow is a row with eventColumns of a changeset of two events.
func recordRow(position, version int64, place int) row {
	id, appended := daybook.IDOf("event"), daybook.IDOf("append")
	return row{
		position, version, int64(7), int64(3), int64(place), int64(2), appended[:], id[:], noon, nil, true,
		[]byte("p"), []byte("account-1"), []byte("deposited"), nil, []byte(`{"é":1}`), nil, []byte(`["b","a"]`), []byte(`{"who":"ann"}`), []byte{0, 255},
	}
}

func TestARecordIsReadFromItsRow(t *testing.T) {
	binary := recordRow(12, 6, 1)
	binary[9], binary[10], binary[14], binary[15], binary[16] = noon.Add(-time.Hour), true, []byte("image/png"), nil, []byte{1, 0, 2}
	binary[17], binary[18], binary[19] = nil, nil, nil
	details := row{int64(7), []byte("meta"), []byte(`[{"kind":"email","value":"ann"}]`), nil, []byte(`[{"partition":"","name":"bank"}]`)}
	d, _ := faked(t, results{{recordRow(11, 5, 0), binary}}, results{{details}})
	var got []daybook.Record
	for record, err := range d.ReadStream(t.Context(), daybook.StreamID{Partition: "p", Name: "account-1"}, daybook.StreamRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, record)
	}
	header := &daybook.ChangesetHeader{
		Number: 3, Ordinal: 7, First: 5, Count: 2, AppendID: daybook.IDOf("append"), Metadata: []byte("meta"),
		Claims: []daybook.Claim{{Kind: "email", Value: "ann"}}, References: []daybook.StreamID{daybook.Stream("bank")},
	}
	stream := daybook.StreamID{Partition: "p", Name: "account-1"}
	want := []daybook.Record{
		{
			Event: daybook.Event{
				ID: daybook.IDOf("event"), Type: "deposited", ContentType: daybook.ContentTypeJSON, Data: []byte(`{"é":1}`), Tags: []string{"b", "a"},
				OccurredAt: noon, Context: daybook.Context{Who: "ann", Metadata: []byte{0, 255}},
			},
			Stream: stream, Version: 5, Position: 11, RecordedAt: noon, Changeset: header,
		},
		{
			Event: daybook.Event{
				ID: daybook.IDOf("event"), Type: "deposited", ContentType: "image/png", Data: []byte{1, 0, 2}, OccurredAt: noon.Add(-time.Hour),
			},
			Stream: stream, Version: 6, Position: 12, RecordedAt: noon, Changeset: header,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAQueryOfManyItemsIsSelectedByTheDriver(t *testing.T) {
	read := daybook.LogRead{Limit: 1}
	for range sqlstore.MaxBranches + 1 {
		read.Filter.Query.Items = append(read.Filter.Query.Items, daybook.QueryItem{Types: []string{"closed"}})
	}
	opened, closed := recordRow(11, 5, 0), recordRow(12, 6, 1)
	opened[10], closed[10], closed[13] = false, false, []byte("closed")
	d, server := faked(t, results{{opened, closed, slices.Clone(closed)}})
	var types []string
	for record, err := range d.ReadLog(t.Context(), read) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, record.Type)
	}
	if !slices.Equal(types, []string{"closed"}) {
		t.Errorf("got %v, want the first that is closed", types)
	}
	if strings.Contains(server.texts[0], "type_key IN") {
		t.Errorf("the server is asked to select: %s", server.texts[0])
	}
}

func TestTheServerFindsAClaimByTheSameDigest(t *testing.T) {
	// As HASHBYTES('SHA2_256', 'p' + 0x00 + 'email' + 0x00 + 'ann') has it.
	key := claimKey("p", daybook.Claim{Kind: "email", Value: "ann"})
	other := claimKey("p", daybook.Claim{Kind: "emailann", Value: ""})
	if len(key) != 32 || bytes.Equal(key, other) {
		t.Errorf("the key of a claim is %x, of another %x", key, other)
	}
	d, server := faked(t, results{{{[]byte("user-1")}}}, results{{}})
	holder, held, err := d.ClaimHolder(t.Context(), "p", daybook.Claim{Kind: "email", Value: "ann"})
	if err != nil || !held || holder != (daybook.StreamID{Partition: "p", Name: "user-1"}) {
		t.Errorf("got %v, %t, %v", holder, held, err)
	}
	if sent, ok := server.values[0][0].Value.([]byte); !ok || !bytes.Equal(sent, key) {
		t.Errorf("the server is asked for %v", server.values[0])
	}
	if _, held, err := d.ClaimHolder(t.Context(), "p", daybook.Claim{Kind: "email", Value: "bob"}); held || err != nil {
		t.Errorf("a claim that nobody holds: %t, %v", held, err)
	}
}

func TestWhatAnInterruptedDeletionHasLeftIsRemovedPieceByPiece(t *testing.T) {
	d, server := faked(t, results{{{int64(3)}, {int64(9)}}},
		results{{{int64(1000)}}}, results{{{int64(12)}}}, results{{{int64(0)}}}, error(mssql.Error{Number: 1205}), results{{{int64(0)}}})
	rows, err := d.Maintain(t.Context())
	if rows != 1012 || err != nil {
		t.Errorf("%d rows, %v, want 1012", rows, err)
	}
	if len(server.answers) != 0 {
		t.Errorf("%d answers were not asked for", len(server.answers))
	}
}
