package sqlserver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

func TestABatchIsWrittenAsTheProcedureReadsIt(t *testing.T) {
	a := daybook.Append{
		ID:        daybook.IDOf("first"),
		Condition: &daybook.Condition{After: 9, Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"t"}}}}},
		Changesets: []daybook.Changeset{
			{
				Stream: daybook.StreamID{Partition: "p", Name: "a"}, Expect: daybook.ExpectVersion(4), Metadata: []byte("mm"),
				Claims: []daybook.Claim{{Kind: "email", Value: "ann"}}, References: []daybook.StreamID{daybook.Stream("bank")},
				Events: []daybook.Event{
					{ID: daybook.IDOf("one"), Type: "opened", ContentType: daybook.ContentTypeJSON, Data: []byte(`{"a":"<é>"}`), Tags: []string{"t"}},
					{
						ID: daybook.IDOf("two"), Type: "drawn", ContentType: "image/png", Data: []byte{0, 1, 2},
						OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Context: daybook.Context{Who: "ann", Metadata: []byte{9}},
					},
				},
			},
			{Stream: daybook.Stream("b"), Events: []daybook.Event{{ID: daybook.IDOf("three"), Type: "opened", ContentType: daybook.ContentTypeJSON}}},
		},
	}
	b := &batch{}
	b.Take(sqlstore.NewEntry(&a))
	arguments := b.arguments("2026-01-01T00:00:00.000000")
	id := func(of string) string { return idText(daybook.IDOf(of)) }
	for i, want := range []any{
		"2026-01-01T00:00:00.000000",
		`[{"n":1,"id":"` + id("first") + `"}]`,
		`[{"n":1,"partition":"p","name":"a"},{"n":2,"partition":"","name":"b"}]`,
		`[{"n":1,"stream":1,"count":2,"detailed":true,"metadata_at":1,"metadata_size":2,"append":1,"expect":3,"place":4},` +
			`{"n":2,"stream":2,"count":1,"detailed":false,"append":1,"expect":0,"place":0}]`,
		`[{"changeset":1,"place":0,"nth":0,"id":"` + id("one") + `","type":"opened","json":"{\"a\":\"<é>\"}","tags":["t"]},` +
			`{"changeset":1,"place":1,"nth":1,"id":"` + id("two") + `","type":"drawn","content_type":"image/png","data_at":3,"data_size":3,` +
			`"occurred_at":"2026-01-02T03:04:05.000006","context":{"who":"ann"},"metadata_at":6,"metadata_size":1},` +
			`{"changeset":2,"place":0,"nth":2,"id":"` + id("three") + `","type":"opened","json":""}]`,
		"mm\x00\x01\x02\x09",
		true,
		`{"conditions":[{"append":1,"after":9,"items":[{"tags":["t"]}]}],"references":[{"changeset":1,"partition":"","name":"bank"}],` +
			`"claims":[{"changeset":1,"kind":"email","value":"ann"}],` +
			`"changesets":[{"changeset":1,"claims":[{"kind":"email","value":"ann"}],"refers_to":[{"partition":"","name":"bank"}]}]}`,
	} {
		got := arguments[i]
		switch value := got.(type) {
		case string:
			got = strings.TrimSuffix(value, "\n")
		case []byte:
			got = string(value)
		}
		if got != want {
			t.Errorf("argument %d is\n%v\nwant\n%v", i+1, got, want)
		}
	}
}

func TestABatchOfNothingButEventsHasNoNullBytes(t *testing.T) {
	a := depositTo("a", daybook.ExpectAny(), 1)
	arguments := batchOf(t, a).arguments(nil)
	// A null that has no type is sent as text, which the server does not take for bytes.
	if bytes, ok := arguments[5].([]byte); !ok || bytes == nil {
		t.Errorf("the bytes are %#v", arguments[5])
	}
	if arguments[0] != nil || arguments[6] != false || arguments[7] != nil {
		t.Errorf("the clock is %v, tagged %v, besides %v", arguments[0], arguments[6], arguments[7])
	}
}

func TestOnlyWhatAColumnOfTextGivesBackIsKeptAsText(t *testing.T) {
	for data, want := range map[string]bool{
		"": true, `{"a": 1.0000000000000000001}`: true, "é\u2028\U0001F4D3 \r\n": true, "ends ": true, "\x01\x7f": true, "\uFFFD": true,
		"\x00": false, "\xff": false, "\xed\xa0\x80": false, "\uFFFE": false, "\uFFFF": false, "\uFDD0": false, "\U0001FFFF": false,
	} {
		if got := isText([]byte(data)); got != want {
			t.Errorf("%q is text: %t, want %t", data, got, want)
		}
	}
}

func TestAnImportIsWrittenAsTheProcedureReadsIt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	of := func(append string, number int, first daybook.Version, position daybook.Position) daybook.RecordedChangeset {
		c := daybook.RecordedChangeset{Stream: daybook.Stream("a"), RecordedAt: at}
		c.Number, c.First, c.Count, c.AppendID = daybook.ChangesetNumber(number), first, 1, daybook.IDOf(append)
		c.Records = []daybook.Record{{
			Event: daybook.Event{ID: daybook.IDOf("e"), Type: "t", ContentType: daybook.ContentTypeJSON}, Version: first, Position: position,
		}}
		return c
	}
	im := sqlstore.NewImported([]daybook.RecordedChangeset{of("one", 5, 50, 70), of("one", 6, 51, 80)})
	im.Known = map[daybook.ID]int{daybook.IDOf("one"): 2}
	im.Changesets[1].Ordinal = 99
	arguments := importArguments(im, sqlstore.End{Position: 60, Ordinal: 20})
	if arguments[0] != int64(60) {
		t.Errorf("it follows position %v, want 60", arguments[0])
	}
	var streams []streamJSON
	var changesets []changesetJSON
	var events []eventJSON
	for i, into := range []any{&streams, &changesets, &events} {
		if err := json.Unmarshal([]byte(arguments[i+1].(string)), into); err != nil {
			t.Fatal(err)
		}
	}
	if len(streams) != 1 || streams[0].First != 50 {
		t.Errorf("the streams are %+v, want one that begins at version 50", streams)
	}
	if len(changesets) != 2 || changesets[0].Ordinal != 21 || changesets[1].Ordinal != 99 || changesets[1].First != 51 || changesets[1].RecordedAt != "2026-01-02T03:04:05.000006" {
		t.Errorf("the changesets are %+v", changesets)
	}
	if len(events) != 2 || events[0].Nth != 2 || events[1].Nth != 3 || events[1].Position != 80 {
		t.Errorf("the events are %+v", events)
	}
}
