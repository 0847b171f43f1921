package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

func TestWhatCannotBeDecodedDoesWhatTheOptionsSay(t *testing.T) {
	unknown, extra, bad := recorded("lost", `{}`), recorded("deposited", `{"amount":5,"by":"Bob"}`), recorded("deposited", `{"amount":"5"}`)
	other := recorded("deposited", `x`)
	other.ContentType = "application/x-own"
	for name, test := range map[string]struct {
		record  *daybook.Record
		reason  codec.Reason
		skipped int // values when it is skipped
		set     func(*codec.Options, codec.Policy)
	}{
		"an unknown type":         {unknown, codec.UnknownType, 0, func(o *codec.Options, p codec.Policy) { o.UnknownTypes = p }},
		"an unknown content type": {other, codec.UnknownContentType, 0, func(o *codec.Options, p codec.Policy) { o.UnknownTypes = p }},
		"an unknown field":        {extra, codec.UnknownField, 1, func(o *codec.Options, p codec.Policy) { o.UnknownFields = p }},
		"bad data":                {bad, codec.BadData, 0, func(o *codec.Options, p codec.Policy) { o.BadData = p }},
	} {
		for _, policy := range []codec.Policy{codec.Fail, codec.Skip, codec.Aside} {
			options := &codec.Options{}
			test.set(options, policy)
			c := account(t, options)
			got, err := c.Decode(test.record)
			var decode *codec.DecodeError
			failed := errors.As(err, &decode) && decode.Reason == test.reason
			switch policy {
			case codec.Fail:
				if !failed || got != nil {
					t.Errorf("%s: got %v, %v; want a DecodeError", name, got, err)
				}
			case codec.Skip:
				if err != nil || len(got) != test.skipped || c.Quarantine().Count() != 0 {
					t.Errorf("%s, skipped: got %v, %v", name, got, err)
				}
			case codec.Aside:
				held := c.Quarantine().Held()
				if err != nil || got != nil || len(held) != 1 || held[0].Err.Reason != test.reason || c.Quarantine().CountOf(test.reason) != 1 {
					t.Errorf("%s, aside: got %v, %v; held %v", name, got, err, held)
				}
			}
		}
	}
}

func TestByDefaultUnknownFieldsArePassedOverAndTheRestFails(t *testing.T) {
	c := account(t)
	if got, err := c.Decode(recorded("deposited", `{"amount":5,"by":"Bob"}`)); err != nil || got[0] != accountEvent(deposited{5}) {
		t.Errorf("unknown field: %v, %v", got, err)
	}
	for _, r := range []*daybook.Record{
		recorded("lost", `{}`), recorded("deposited", `{"amount":1.5}`), recorded("deposited", `null`), recorded("deposited", ` null `),
		recorded("deposited", `{"amount":1}{}`), recorded("closed", `null`), recorded("deposited", `{"amount":9223372036854775808}`),
	} {
		if got, err := c.Decode(r); err == nil || got != nil {
			t.Errorf("%s %s: got %v, want an error", r.Type, r.Data, got)
		}
	}
}

func TestAQuarantineIsBoundedAndCountsAll(t *testing.T) {
	q := codec.NewQuarantine(&codec.QuarantineOptions{Records: 2, Bytes: 10})
	c := account(t, &codec.Options{UnknownTypes: codec.Aside, Quarantine: q})
	put := func(position daybook.Position, data string) {
		r := recorded("lost", data)
		r.Position = position
		if got, err := c.Decode(r); got != nil || err != nil {
			t.Fatal(got, err)
		}
		r.Data[0] = 'X' // as the memory of a borrowed record may be
	}
	for _, data := range []string{"12345", "123456", "12345", "1"} {
		put(daybook.Position(len(data)), data)
	}
	held := q.Held()
	if q.Count() != 4 || len(held) != 2 || string(held[0].Record.Data) != "12345" || string(held[1].Record.Data) != "1" {
		t.Errorf("count %d, held %v", q.Count(), held)
	}
	if q.Clear(); q.Count() != 0 || len(q.Held()) != 0 {
		t.Errorf("cleared: count %d, held %v", q.Count(), q.Held())
	}
}

// The documents are those that Lokad.AzureEventStore writes: a Type behind the
// rest, and spaces up to a multiple of 8 bytes.
func TestDocumentsOfLokadDecode(t *testing.T) {
	type stringEvent struct{ String string }
	type complexEvent struct{ Real, Imaginary float64 }
	c := codec.Must(codec.New[any](codec.Event[stringEvent]("StringEvent"), codec.Event[complexEvent]("ComplexEvent")))
	for _, test := range []struct {
		eventType, data string
		want            any
	}{
		{"StringEvent", `{"String":"Hello","Type":"StringEvent"}` + strings.Repeat(" ", 1), stringEvent{"Hello"}},
		{"StringEvent", `{"String":"H€llo","Type":"StringEvent"}` + strings.Repeat(" ", 7), stringEvent{"H€llo"}},
		{"ComplexEvent", `{"Real":0.0,"Imaginary":1.0,"Type":"ComplexEvent"}` + strings.Repeat(" ", 6), complexEvent{0, 1}},
	} {
		if len(test.data)%8 != 0 {
			t.Fatalf("%q is not a document of Lokad's", test.data)
		}
		if got, err := c.Decode(recorded(test.eventType, test.data)); err != nil || !reflect.DeepEqual(got, []any{test.want}) {
			t.Errorf("%s: got %v, %v", test.data, got, err)
		}
	}
}

func TestStringsThatLookLikeDatesAndNumbersComeBackAsTheyWere(t *testing.T) {
	type anything struct {
		Any   any
		Text  string
		Map   map[string]any
		Time  time.Time
		Big   int64
		Float float64
	}
	documents := []string{
		`{"Any":"2018-04-01T10:00:00+02:00","Text":"2018-04-01","Map":{"at":"2018-04-01T10:00:00.1234567Z"},"Time":"2018-04-01T10:00:00+02:00","Big":9007199254740993,"Float":0.1}`,
		`{"Any":"\/Date(1198908717056)\/","Text":"0001-01-01T00:00:00","Map":{"n":123456789012345678901234567890,"r":1.10},"Time":"2018-04-01T10:00:00.123456789Z","Big":-9223372036854775808,"Float":1e300}`,
		`{"Any":9007199254740993,"Text":"NaN","Map":{"zero":0.0,"minus":-0},"Time":"0001-01-01T00:00:00Z","Big":0,"Float":5e-324}`,
	}
	for _, strict := range []codec.Policy{codec.Skip, codec.Fail} {
		c := codec.Must(codec.New[any](codec.Event[anything]("anything"), &codec.Options{UnknownFields: strict}))
		for _, document := range documents {
			values, err := c.Decode(recorded("anything", document))
			if err != nil {
				t.Fatal(err)
			}
			event, err := c.Encode(values[0])
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(strings.ReplaceAll(document, `\/`, `/`), "1e300", "1e+300")
			if got := sorted(t, event.Data); got != sorted(t, []byte(want)) {
				t.Errorf("got  %s\nwant %s", got, sorted(t, []byte(want)))
			}
		}
	}
}

// sorted is a document with the keys of its objects in order, and each number
// as it is written.
func sorted(t *testing.T, data []byte) string {
	t.Helper()
	var value map[string]json.RawMessage
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal(value["Map"], &inner); err != nil {
		t.Fatal(err)
	}
	value["Map"], _ = json.Marshal(inner)
	out, _ := json.Marshal(value)
	return string(out)
}

func TestChangesetsCarryWhatTheirValuesBring(t *testing.T) {
	type renamed struct{ Old, New string }
	slug := func(text string) []daybook.Claim { return []daybook.Claim{{Kind: "slug", Value: text}} }
	c := codec.Must(codec.New[any](
		codec.Event[renamed]("renamed",
			codec.Releases(func(e renamed) []daybook.Claim { return slug(e.Old) }),
			codec.Claims(func(e renamed) []daybook.Claim { return slug(e.New) })),
		codec.Event[opened]("opened"),
	))
	stream := daybook.Stream("blog-1")
	got, err := c.Changeset(stream, daybook.ExpectVersion(4), renamed{"a", "b"}, renamed{"b", "c"}, opened{"Ann", "DE1"}, opened{"Ann", "DE1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Events) != 4 || got.Stream != stream || got.Expect != daybook.ExpectVersion(4) {
		t.Errorf("got %v", got)
	}
	if want := append(slug("c"), daybook.Claim{Kind: "iban", Value: "DE1"}); !reflect.DeepEqual(got.Claims, want) {
		t.Errorf("claims %v, want %v", got.Claims, want)
	}
	if want := append(slug("a"), slug("b")...); !reflect.DeepEqual(got.Releases, want) {
		t.Errorf("releases %v, want %v", got.Releases, want)
	}
	if want := []daybook.StreamID{daybook.Stream("bank")}; !reflect.DeepEqual(got.References, want) {
		t.Errorf("references %v, want %v", got.References, want)
	}
}

// quick brings its own decoder, which knows one document.
type quick struct{ Amount int64 }

func (q *quick) UnmarshalJSON(data []byte) error {
	digits, ok := bytes.CutPrefix(data, []byte(`{"Amount":`))
	digits, closed := bytes.CutSuffix(digits, []byte(`}`))
	if !ok || !closed {
		return errors.New("no amount")
	}
	for _, digit := range digits {
		q.Amount = q.Amount*10 + int64(digit-'0')
	}
	return nil
}

func TestATypeThatBringsItsDecoderIsHandedTheDataAlone(t *testing.T) {
	for _, options := range []*codec.Options{nil, {UnknownFields: codec.Fail}} {
		c := codec.Must(codec.New[any](codec.Event[quick]("paid"), codec.Event[*quick]("repaid"), options))
		if got, err := c.Decode(recorded("paid", " {\"Amount\":125} \n")); err != nil || got[0] != (quick{125}) {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := c.Decode(recorded("repaid", `{"Amount":7}`)); err != nil || got[0].(*quick).Amount != 7 {
			t.Errorf("%v, %v", got, err)
		}
		for _, data := range []string{`{"Amount":1`, ``, `null`, `[]`} {
			var decode *codec.DecodeError
			if got, err := c.Decode(recorded("paid", data)); !errors.As(err, &decode) || decode.Reason != codec.BadData {
				t.Errorf("%q: %v, %v", data, got, err)
			}
		}
		// What was decoded before does not shine through.
		if got, err := c.Decode(recorded("paid", `{"Amount":3}`)); err != nil || got[0] != (quick{3}) {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestValuesShareNothingWithThoseDecodedBefore(t *testing.T) {
	type list struct {
		Words []string
		By    map[string]int
		Last  *int
	}
	c := codec.Must(codec.New[any](codec.Event[list]("listed")))
	decode := func(data string) list {
		t.Helper()
		got, err := c.Decode(recorded("listed", data))
		if err != nil {
			t.Fatal(err)
		}
		return got[0].(list)
	}
	first := decode(`{"Words":["a","b"],"By":{"a":1},"Last":1}`)
	if second := decode(`{"Words":["x"],"By":{"x":2}}`); second.Last != nil || len(second.By) != 1 || second.Words[0] != "x" {
		t.Errorf("the second is %+v", second)
	}
	_, _ = c.Decode(recorded("listed", `{"Words":["y","y","y"],"By":7}`)) // fails half way
	if third := decode(`{}`); third.Words != nil || third.By != nil {
		t.Errorf("behind a failure it is %+v", third)
	}
	if first.Words[0] != "a" || first.Words[1] != "b" || len(first.By) != 1 || *first.Last != 1 {
		t.Errorf("the first has become %+v", first)
	}
}
