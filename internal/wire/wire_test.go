package wire_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

const rounds = 500

// oneLine fails the test unless out is JSON on one line, which a server-sent
// event and a line of NDJSON must be.
func oneLine(t *testing.T, out []byte) {
	t.Helper()
	if !json.Valid(out) || bytes.ContainsAny(out, "\r\n") {
		t.Fatalf("not JSON on one line: %q", out)
	}
}

// same fails the test unless what was decoded is what was encoded.
func same[T any](t *testing.T, out []byte, got T, err error, want T) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("came back as\n%+v\n%v, was\n%+v\nwritten as\n%.2000s", got, err, want, out)
	}
}

func TestARecordComesBackByteForByte(t *testing.T) {
	r := seeded(t)
	for range rounds {
		want := r.record()
		out := wire.AppendRecord(nil, &want)
		oneLine(t, out)
		got, err := wire.DecodeRecord(out)
		same(t, out, got, err, want)
	}
}

func TestAnAppendComesBackByteForByte(t *testing.T) {
	r := seeded(t)
	for range rounds / 2 {
		want := r.append()
		out := wire.AppendAppend(nil, &want)
		oneLine(t, out)
		got, err := wire.DecodeAppend(out)
		for _, c := range got.Changesets {
			for i := range c.Events {
				c.Events[i].ContentType = cmp.Or(c.Events[i].ContentType, daybook.ContentTypeJSON) // as the store takes it
			}
		}
		same(t, out, got, err, want)
	}
}

func TestAReceiptAndAHeadComeBack(t *testing.T) {
	r := seeded(t)
	for range rounds {
		receipt := daybook.Receipt{AppendID: r.id(), RecordedAt: r.time(), Durability: daybook.Durability(r.IntN(6)), Repeated: r.IntN(2) == 0}
		for range 1 + r.IntN(3) {
			receipt.Changesets = append(receipt.Changesets, daybook.ChangesetReceipt{
				Stream: r.stream(), Number: 2, Ordinal: daybook.Ordinal(r.IntN(2)), First: 3, Last: 4, FirstPosition: 5, LastPosition: daybook.Position(r.Int64N(1 << 62)),
			})
		}
		out := wire.AppendReceipt(nil, &receipt)
		oneLine(t, out)
		got, err := wire.DecodeReceipt(out)
		same(t, out, got, err, receipt)

		head := daybook.StreamHead{Stream: r.stream(), Head: r.head()}
		out = wire.AppendHead(nil, &head)
		oneLine(t, out)
		gotHead, err := wire.DecodeHead(out)
		same(t, out, gotHead, err, head)

		holder, held := r.stream(), r.IntN(2) == 0
		if !held {
			holder = daybook.StreamID{}
		}
		out = wire.AppendHolder(nil, holder, held)
		oneLine(t, out)
		gotHolder, gotHeld, err := wire.DecodeHolder(out)
		same(t, out, gotHolder, err, holder)
		same(t, out, gotHeld, err, held)
	}
}

func TestParametersComeBack(t *testing.T) {
	r := seeded(t)
	maybeTime := func() time.Time {
		if r.IntN(2) == 0 {
			return time.Time{}
		}
		return r.time()
	}
	filter := func() (f daybook.Filter) {
		for range r.IntN(3) {
			f.Partitions = append(f.Partitions, r.maybe())
			f.StreamTypes = append(f.StreamTypes, r.text())
		}
		return f
	}
	for range rounds {
		stream := daybook.StreamRead{From: daybook.Version(r.IntN(3)), To: daybook.Version(r.Int64N(1 << 62)), Until: maybeTime(), Backwards: r.IntN(2) == 0, Limit: r.IntN(3)}
		values := overTheWire(t, wire.StreamParams(r.stream(), stream))
		gotStream, err := wire.ParseStreamRead(values)
		same(t, nil, gotStream, err, stream)

		log := daybook.LogRead{After: daybook.Position(r.Int64N(1 << 62)), To: daybook.Position(r.IntN(3)), Until: maybeTime(), Filter: filter(), Backwards: r.IntN(2) == 0, Limit: r.IntN(3)}
		log.Filter.Query = r.query()
		gotLog, err := wire.ParseLogRead(overTheWire(t, wire.LogParams(log)))
		same(t, nil, gotLog, err, log)

		list := daybook.StreamList{Filter: filter(), After: r.stream(), Limit: r.IntN(3)}
		gotList, err := wire.ParseStreamList(overTheWire(t, wire.ListParams(list)))
		same(t, nil, gotList, err, list)

		after, wait := daybook.Position(r.IntN(3)), time.Duration(r.IntN(3))*time.Second
		gotAfter, gotWait, err := wire.ParseWait(overTheWire(t, wire.WaitParams(after, wait)))
		same(t, nil, gotAfter, err, after)
		same(t, nil, gotWait, err, wait)
	}
}

func overTheWire(t *testing.T, values url.Values) url.Values {
	t.Helper()
	parsed, err := url.ParseQuery(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestDataStandsInTheFormThatTheRulesSay(t *testing.T) {
	for _, test := range []struct{ contentType, data, want string }{
		{"", `{"a": 1}`, `"data":{"a": 1}`},
		{"", "{\n\"a\":1}", `"data":{"a":1},"data_text":"{\n\"a\":1}"`},
		{"", " {}", `"data":{},"data_text":" {}"`},
		{"", "not JSON", `"data_text":"not JSON"`},
		{"", "\xff", `"data_base64":"/w=="`},
		{"text/plain", "{}", `"data_text":"{}"`},
		{"application/x+json", "{}", `"data":{}`},
		{"", strings.Repeat("[", 1001) + strings.Repeat("]", 1001), `"data_text":"` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `"`},
		{"", "", ""},
		{"text/plain", "a \"quote\" or two", `"data_text":"a \"quote\" or two"`},
		{"text/plain", "\x01\x02", `"data_base64":"AQI="`},
		{"text/plain", `""""""`, `"data_base64":"IiIiIiIi"`},
		{"", "\n\n\n{\"\":\"\"}\n", `"data":{"":""},"data_base64":"CgoKeyIiOiIifQo="`},
	} {
		record := daybook.Record{Event: daybook.Event{Type: "t", ContentType: test.contentType, Data: []byte(test.data)}, Stream: daybook.Stream("s"), Changeset: &daybook.ChangesetHeader{}}
		out := string(wire.AppendRecord(nil, &record))
		_, rest, _ := strings.Cut(out, `"type":"t"`)
		rest, _, _ = strings.Cut(rest, `,"changeset"`)
		if !strings.HasSuffix(rest, test.want) || test.want == "" && strings.Contains(rest, "data") {
			t.Errorf("%.50q of type %q is written as %.200s", test.data, test.contentType, rest)
		}
	}
}

func TestAnAppendIsNotMuchLargerOnItsWayThanItsData(t *testing.T) {
	const size = 1 << 20
	fill := func(piece string) []byte { return []byte(strings.Repeat(piece, size/len(piece))) }
	for name, data := range map[string][]byte{
		"letters": fill("a"), "control characters": fill("\x01"), "line breaks": fill("\n"), "quotes": fill(`"`), "bytes": fill("\xff"), "astral": fill("𝄞"),
		"JSON over many lines": []byte("[\n" + string(fill("\"a\",\n")) + "1]"), "JSON on one line": []byte("[" + string(fill(`"",`)) + "1]"),
	} {
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("s"), Events: []daybook.Event{{Type: "t", Data: data}}}}}
		out := wire.AppendAppend(nil, &a)
		if longest := len(data)*4/3 + 1000; len(out) > longest {
			t.Errorf("%s: %d bytes of data are sent as %d, want at most %d", name, len(data), len(out), longest)
		}
		back, err := wire.DecodeAppend(out)
		if err != nil || !bytes.Equal(back.Changesets[0].Events[0].Data, data) {
			t.Errorf("%s do not come back: %v", name, err)
		}
	}
}

func TestDepthIsThatOfTheDeepestValue(t *testing.T) {
	for data, want := range map[string]int{`1`: 0, `"[{"`: 0, `[]`: 1, `{}`: 1, `[[],[[]],{}]`: 3, `{"a":{"b":[1]},"c":"]]}}"}`: 3, `["\"[[["]`: 1, `["\\",[]]`: 2} {
		if got := wire.Depth([]byte(data)); got != want {
			t.Errorf("%s is nested %d deep, want %d", data, got, want)
		}
	}
}

func TestErrorsComeBackFromTheirBodies(t *testing.T) {
	r := seeded(t)
	for range rounds / 5 {
		one, two := r.record(), r.record()
		two.Stream, two.Changeset, two.RecordedAt = one.Stream, one.Changeset, one.RecordedAt
		missed := []daybook.RecordedChangeset{{Stream: one.Stream, RecordedAt: one.RecordedAt, ChangesetHeader: *one.Changeset, Records: []daybook.Record{one, two}}}
		for _, test := range []struct {
			err    error
			status int
		}{
			{&daybook.InvalidError{Field: "events[0].type", Value: r.text(), Reason: "must not be empty"}, 400},
			{&daybook.LimitError{Field: "events", Value: 1 << 60, Limit: 3, Unit: "events"}, 413},
			{&daybook.ConflictError{Stream: one.Stream, Expect: daybook.ExpectVersion(1), Found: r.head(), Missed: missed, Incomplete: true}, 409},
			{&daybook.ConflictError{Stream: r.stream(), Expect: daybook.ExpectExists()}, 409},
			{&daybook.ConditionError{Condition: daybook.Condition{Query: r.query(), After: 4}, Found: 7, Records: []daybook.Record{one}, Incomplete: true}, 409},
			{&daybook.ClaimError{Stream: r.stream(), Claim: daybook.Claim{Kind: r.text(), Value: r.text()}, Holder: r.stream()}, 409},
			{&daybook.ReferenceError{Stream: r.stream(), Reference: r.stream()}, 409},
			{&daybook.ReusedIDError{ID: r.id()}, 422},
			{&daybook.ReusedIDError{ID: r.id(), Deletion: true}, 422},
			{&daybook.UnsupportedError{Driver: "d", Feature: r.text()}, 501},
			{&daybook.CorruptError{File: r.text(), Offset: 3, Position: 4, Reason: r.text()}, 500},
			{&wire.StreamNotFoundError{Stream: r.stream()}, 404},
			{&wire.StreamNotFoundError{Stream: r.stream(), Head: daybook.Head{Version: 3, Changeset: 2, First: 4, Position: 9, RecordedAt: one.RecordedAt}}, 404},
		} {
			status, name := wire.Status(fmt.Errorf("wrapped: %w", test.err))
			body := wire.AppendError(nil, test.err)
			oneLine(t, body)
			if status != test.status || !bytes.Contains(body, []byte(`{"error":"`+name+`","message":"`)) {
				t.Fatalf("%T is answered %d with %s", test.err, status, body)
			}
			same(t, body, wire.DecodeError(status, body), nil, test.err)
		}
	}
}

func TestErrorsWithoutATypeKeepTheirMeaning(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		is     error
	}{
		{fmt.Errorf("x: %w", daybook.ErrReadOnly), 403, daybook.ErrReadOnly},
		{fmt.Errorf("x: %w", daybook.ErrClosed), 503, daybook.ErrRefused},
		{fmt.Errorf("x: %w", daybook.ErrRefused), 503, daybook.ErrRefused},
		{fmt.Errorf("x: %w", daybook.ErrFailed), 503, daybook.ErrFailed},
	} {
		status, _ := wire.Status(test.err)
		got := wire.DecodeError(status, wire.AppendError(nil, test.err))
		if status != test.status || !errors.Is(got, test.is) {
			t.Errorf("%v is answered %d and comes back as %v", test.err, status, got)
		}
	}
	for _, body := range []string{"", "<html>", "{}", `{"error":"INTERNAL","message":"m"}`, `{"error":"STORAGE_FAILED"}`, `{"error":"TIMEOUT"}`, `[1]`} {
		if got := wire.DecodeError(500, []byte(body)); got == nil || errors.Is(got, daybook.ErrRefused) {
			t.Errorf("%q comes back as %v: the outcome of an append is unknown", body, got)
		}
	}
}

func TestAnInternalErrorIsNotLetOut(t *testing.T) {
	if body := wire.AppendError(nil, fmt.Errorf("password: hunter2")); bytes.Contains(body, []byte("hunter2")) {
		t.Errorf("the body is %s", body)
	}
}
