package azureblob

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

// bytesOf reads a frame written as in the published vectors of the format.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFramesAreThoseOfTheFormat(t *testing.T) {
	long := make([]byte, 8192)
	for i := range long {
		long[i] = byte(i)
	}
	for name, c := range map[string]struct {
		key     uint32
		payload []byte
		starts  string
		ends    string
		size    int
	}{
		"empty":         {1, nil, "0000 01000000 01000000 0000", "", 12},
		"eight bytes":   {1, []byte("12345678"), "0100 01000000 3132333435363738 58056833 0100", "", 20},
		"another key":   {2, []byte("12345678"), "0100 02000000 3132333435363738 bb02e7bd 0100", "", 20},
		"the last key":  {4294967295, []byte("12345678"), "0100 ffffffff 3132333435363738 50251f65 0100", "", 20},
		"a document":    {1, []byte(`{"String":"Hello","Type":"StringEvent"} `), "0500 01000000", "70458560 0500", 52},
		"a long padded": {12, long, "0004 0c000000", "0fbffb7d 0004", 8204},
	} {
		t.Run(name, func(t *testing.T) {
			data := appendFrame(nil, c.key, c.payload)
			if len(data) != c.size || !bytes.HasPrefix(data, bytesOf(t, c.starts)) || !bytes.HasSuffix(data, bytesOf(t, c.ends)) {
				t.Errorf("the frame has %d bytes, begins with %x and ends with %x", len(data), data[:12], data[len(data)-6:])
			}
			f, err := cutFrame(append(data, 1, 2, 3))
			if err != nil || f.key != c.key || !bytes.Equal(f.payload, c.payload) || f.size != c.size {
				t.Errorf("it is read as %+v, %v", f, err)
			}
			for n := range min(len(data), 64) {
				if f, err := cutFrame(data[:n]); f.size != 0 && n < len(data) || err != nil {
					t.Errorf("of its first %d bytes %+v is read, %v", n, f, err)
				}
			}
		})
	}
}

func TestADamagedFrameIsNotRead(t *testing.T) {
	whole := appendFrame(nil, 7, []byte(`{"String":"Hello","Type":"StringEvent"} `))
	for i := range whole {
		for _, bit := range []byte{1, 128} {
			data := append(bytes.Clone(whole), make([]byte, maxFrame)...)
			data[i] ^= bit
			var bad *damage
			if f, err := cutFrame(data); !errors.As(err, &bad) {
				t.Errorf("with byte %d changed it is read as key %d, %q (%v)", i, f.key, f.payload, err)
			}
		}
	}
}

func TestDocumentsOfOthersAreReadAsTheyAre(t *testing.T) {
	for payload, want := range map[string]struct{ eventType, data string }{
		`{"String":"Hello","Type":"StringEvent"} `:                 {"StringEvent", `{"String":"Hello","Type":"StringEvent"}`},
		"{\"String\":\"H€llo\",\"Type\":\"StringEvent\"}       ":   {"StringEvent", `{"String":"H€llo","Type":"StringEvent"}`},
		`{"Real":0.0,"Imaginary":1.0,"Type":"ComplexEvent"}      `: {"ComplexEvent", `{"Real":0.0,"Imaginary":1.0,"Type":"ComplexEvent"}`},
		`{"Type":"Empty"}`:                         {"Empty", `{"Type":"Empty"}`},
		`{ "a" : 1, "Type" : "Spaced" } `:          {"Spaced", `{ "a" : 1, "Type" : "Spaced" }`},
		`{"a":1,"Type":"with \"quotes\" and \\"} `: {`with "quotes" and \`, `{"a":1,"Type":"with \"quotes\" and \\"}`},
		`{"Type":"First","a":1}  `:                 {"", `{"Type":"First","a":1}`},
		`{"a":1}         `:                         {"", `{"a":1}`},
		`{"a":1,"Type":7}  `:                       {"", `{"a":1,"Type":7}`},
		"\x01\x02 no JSON      ":                   {"", "\x01\x02 no JSON      "},
		"":                                         {"", ""},
		`{"$daybook":{"at":1},"more":1,"Type":"x"}      `:    {"x", `{"$daybook":{"at":1},"more":1,"Type":"x"}`},
		`{"other":{"at":1},"Type":"x"}   `:                   {"x", `{"other":{"at":1},"Type":"x"}`},
		`{"a":{"b":[{"at":99999999999999999999},"Type":"x"}`: {"x", `{"a":{"b":[{"at":99999999999999999999},"Type":"x"}`},
	} {
		d, err := parseDocument([]byte(payload))
		if err != nil || d.note != nil || d.eventType != want.eventType || string(d.data()) != want.data {
			t.Errorf("%q is read as type %q, data %q, note %v, %v", payload, d.eventType, d.data(), d.note, err)
		}
	}
}

func TestOurDocumentsCarryAnyDataAndEndWithTheirType(t *testing.T) {
	for _, data := range []string{
		`{"amount":5}`, `{}`, `{ }`, " {\n} \t\r\n", `{"a":{"b":1}} `, `{"Type":"own","$daybook":{"at":1}}`, `{"Type":"own"}`, `[1,2]`, `"text"`, `null`, `1`,
		"", " ", "}", "{", "{\"a\":1}}", "\x00\xff\xfe", "{\"a\":\"\xff\"}", "é<&>\u2028", `{"a":1,}`, `{"a":1}{"b":2}`,
	} {
		for _, eventType := range []string{"deposited", `a "quoted" \ type`, "日本<&>"} {
			payload, err := appendDocument(nil, eventType, []byte(data), &note{ID: daybook.NewID()})
			if err != nil || len(payload)%payloadUnit != 0 {
				t.Fatalf("%q: %d bytes, %v", data, len(payload), err)
			}
			d, err := parseDocument(payload)
			if err != nil || d.note == nil || d.eventType != eventType || string(d.data()) != data {
				t.Errorf("%q of type %q is read as %q of type %q (%v) from %s", data, eventType, d.data(), d.eventType, err, payload)
			}
			if before, ok := lastType(payload); !ok || before != eventType {
				t.Errorf("who scans from the end finds the type %q in %s", before, payload)
			}
		}
	}
}

// lastType finds Type as the format tells a reader to: it is the last property
// of a JSON object, which spaces may follow.
func lastType(payload []byte) (string, bool) {
	keys, values, err := walkObject(payload)
	if err != nil || len(keys) == 0 || keys[len(keys)-1] != "Type" {
		return "", false
	}
	last, ok := values[len(values)-1].(string)
	return last, ok
}

func TestNumbersThatDoNotFollowAreDamage(t *testing.T) {
	first := note{Frames: 1, Append: daybook.NewID(), Stream: "a-1", Events: 1, Number: 3, Ordinal: 9, First: 7, Position: 100}
	for name, second := range map[string]note{
		"a version left out":  {Number: 4, Ordinal: 10, First: 9, Position: 101},
		"a number left out":   {Number: 5, Ordinal: 10, First: 8, Position: 101},
		"a version of 0":      {Number: 4, Ordinal: 10, Position: 101},
		"a position again":    {Number: 4, Ordinal: 10, First: 8, Position: 100},
		"a position below it": {Position: -5},
		"the last position":   {Number: 4, Ordinal: 10, First: 8, Position: math.MaxInt64},
		"an ordinal again":    {Number: 4, Ordinal: 9, First: 8, Position: 101},
		"the last version":    {Number: 4, Ordinal: 10, First: math.MaxInt64, Position: 101},
		"a number below 0":    {Number: -4, Ordinal: 10, First: 8, Position: 101},
	} {
		t.Run(name, func(t *testing.T) {
			second.Frames, second.Append, second.Stream, second.Events = 1, daybook.NewID(), "a-1", 1
			l := &log{state: newState(daybook.Stream("events")), copy: &memoryCopy{}, grown: make(chan struct{})}
			var data []byte
			for i, n := range []note{first, second, {Frames: 1, Append: daybook.NewID(), Stream: "a-1", Events: 1}} {
				var err error
				if data, err = appendEvent(data, uint32(i+1), &daybook.Event{Type: "x"}, &n); err != nil {
					t.Fatal(err)
				}
			}
			one, _ := cutFrame(data)
			done, err := l.take(place{}, "events.00000", data)
			var corrupt *daybook.CorruptError
			if done != one.size || !errors.As(err, &corrupt) || corrupt.Offset != int64(one.size) || l.size != int64(one.size) || len(l.state.records) != 1 {
				t.Errorf("%d bytes of %d are folded, %d records, %v", done, one.size, len(l.state.records), err)
			}
		})
	}
}

func TestWritesThatCountWronglyAreDamage(t *testing.T) {
	id := daybook.NewID()
	begin := note{Frames: 3, Append: id, Stream: "a-1", Events: 1}
	for name, notes := range map[string][]note{
		"more events than there are":    {begin, {Append: id, Stream: "a-2", Events: 3}, {}},
		"as many as can be":             {begin, {Append: id, Stream: "a-2", Events: math.MaxInt}, {}},
		"less than none":                {begin, {Append: id, Stream: "a-2", Events: math.MinInt}, {}},
		"a changeset without its place": {begin, {Append: id, Events: 2}, {}},
		"one without its append":        {begin, {Stream: "a-2", Events: 2}, {}},
		"no changeset":                  {begin, {}, {}},
		"no beginning":                  {{Append: id, Stream: "a-1", Events: 3}, {}, {}},
	} {
		l := &log{state: newState(daybook.Stream("events")), copy: &memoryCopy{}, grown: make(chan struct{})}
		var data []byte
		for i, n := range notes {
			var err error
			if data, err = appendEvent(data, uint32(i+1), &daybook.Event{Type: "x"}, &n); err != nil {
				t.Fatal(err)
			}
		}
		if done, err := l.take(place{}, "events.00000", data); done != 0 || !errors.As(err, new(*daybook.CorruptError)) || len(l.state.records) != 0 {
			t.Errorf("%s: %d bytes are folded, %v", name, done, err)
		}
	}
}

func TestTimesThatFallStandStill(t *testing.T) {
	l := &log{state: newState(daybook.Stream("events")), copy: &memoryCopy{}, grown: make(chan struct{})}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var data []byte
	for i, recorded := range []time.Time{at, at.Add(-time.Hour), {}, at.Add(time.Second)} {
		var err error
		if data, err = appendEvent(data, uint32(i+1), &daybook.Event{Type: "x"}, &note{Frames: 1, Append: daybook.NewID(), Stream: "a-1", Events: 1, RecordedAt: recorded}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.take(place{}, "events.00000", data); err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Time{at, at, at, at.Add(time.Second)} {
		if got := l.state.changesets[i].at; !got.Equal(want) {
			t.Errorf("changeset %d is recorded at %s, want %s", i+1, got, want)
		}
	}
}

// What Limits lets in must fit into a document, whatever it takes to write it as
// a text.
func TestTheLargestDataFit(t *testing.T) {
	limit := int((&Driver{}).Limits().EventBytes)
	for _, piece := range []string{"\"", "\x00", "[\"\"]", "\n", "é", "\xff", "\u2028"} {
		data := bytes.Repeat([]byte(piece), limit/len(piece))
		for name, n := range map[string]*note{"data": {}, "metadata": {Metadata: data}} {
			value := data
			if name == "metadata" {
				value = nil
			}
			payload, err := appendDocument(nil, "x", value, n)
			if err != nil || len(payload) > maxPayload {
				t.Errorf("%s of %q take %d bytes, %v", name, piece, len(payload), err)
				continue
			}
			d, err := parseDocument(payload)
			if err != nil || !bytes.Equal(d.data(), value) || name == "metadata" && !bytes.Equal(d.note.Metadata, data) {
				t.Errorf("%s of %q do not come back, %v", name, piece, err)
			}
		}
	}
}
