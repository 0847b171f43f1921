package codec_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// Three versions of one event: first a name, then two, now a person.
type (
	registeredV1 struct{ Name string }
	registeredV2 struct{ First, Last string }
	registered   struct {
		Person person
		Source string
	}
	person struct{ First, Last string }
	moved  struct{ From, To string }
	left   struct{ City string }
	came   struct{ City string }
)

func splitName(old registeredV1) registeredV2 {
	first, last, _ := strings.Cut(old.Name, " ")
	return registeredV2{first, last}
}

func toPerson(old registeredV2, r *daybook.Record) ([]registered, error) {
	if old.First == "" {
		return nil, errors.New("nobody has no name")
	}
	return []registered{{person(old), r.Context.Source}}, nil
}

func splitMove(old moved, _ *daybook.Record) ([]any, error) {
	if old.From == old.To {
		return nil, nil
	}
	return []any{left{old.From}, came{old.To}}, nil
}

func people(t *testing.T, entries ...codec.Entry) *codec.Codec[any] {
	t.Helper()
	c, err := codec.New[any](append([]codec.Entry{
		codec.Event[registered]("registered", codec.Schema("3")),
		codec.Event[left]("left", codec.Formerly("gone")),
		codec.Event[came]("came"),
		codec.Upcast("registered", "", splitName),
		codec.UpcastMany("registered", "2", toPerson),
		codec.UpcastMany("moved", codec.AnySchema, splitMove),
		codec.Drop("looked", codec.AnySchema),
	}, entries...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func withSchema(r *daybook.Record, schema string) *daybook.Record {
	r.Context.Schema, r.Context.Source = schema, "desk 4"
	return r
}

func TestOldRecordsBecomeWhatTheProgramUsesNow(t *testing.T) {
	c := people(t)
	ann := registered{person{"Ann", "Lee"}, "desk 4"}
	for name, test := range map[string]struct {
		record *daybook.Record
		want   []any
	}{
		"two steps":               {withSchema(recorded("registered", `{"Name":"Ann Lee"}`), ""), []any{ann}},
		"one step":                {withSchema(recorded("registered", `{"First":"Ann","Last":"Lee"}`), "2"), []any{ann}},
		"as it is":                {withSchema(recorded("registered", `{"Person":{"First":"Ann","Last":"Lee"},"Source":"desk 4"}`), "3"), []any{ann}},
		"one to many":             {recorded("moved", `{"From":"Rome","To":"Oslo"}`), []any{left{"Rome"}, came{"Oslo"}}},
		"one to none":             {recorded("moved", `{"From":"Rome","To":"Rome"}`), nil},
		"an old name":             {recorded("gone", `{"City":"Rome"}`), []any{left{"Rome"}}},
		"dropped, whatever it is": {recorded("looked", `not even JSON`), nil},
	} {
		got, err := c.Decode(test.record)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %#v, %v; want %#v", name, got, err, test.want)
		}
	}
}

func TestEachStepIsAFunctionThatIsTestedAlone(t *testing.T) {
	if got, want := splitName(registeredV1{"Ann Lee"}), (registeredV2{"Ann", "Lee"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	got, err := toPerson(registeredV2{"Ann", "Lee"}, &daybook.Record{})
	if err != nil || len(got) != 1 || got[0].Person != (person{"Ann", "Lee"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTheSchemaOfTodayIsWritten(t *testing.T) {
	event, err := people(t).Encode(registered{})
	if err != nil || event.Context.Schema != "3" {
		t.Errorf("schema %q, %v", event.Context.Schema, err)
	}
}

func TestAStepThatFailsIsABadUpcast(t *testing.T) {
	c := people(t,
		codec.UpcastMany("panics", "", func(int, *daybook.Record) ([]any, error) { panic("at once") }),
		codec.UpcastMany("stray", "", func(int32, *daybook.Record) ([]any, error) { return []any{3.5}, nil }),
		codec.UpcastMany("empty", "", func(int64, *daybook.Record) ([]any, error) { return []any{nil}, nil }),
		codec.UpcastMany("circle", "", func(old string, _ *daybook.Record) ([]any, error) { return []any{old}, nil }),
	)
	for eventType, test := range map[string]struct{ data, says string }{
		"registered": {`{}`, "nobody has no name"},
		"panics":     {`1`, "panicked: at once"},
		"stray":      {`1`, "gave float64, which is neither"},
		"empty":      {`1`, "gave nil"},
		"circle":     {`"x"`, "circle"},
	} {
		got, err := c.Decode(withSchema(recorded(eventType, test.data), map[bool]string{true: "2"}[eventType == "registered"]))
		var decode *codec.DecodeError
		if !errors.As(err, &decode) || decode.Reason != codec.BadUpcast || decode.Position != 17 || !strings.Contains(err.Error(), test.says) || got != nil {
			t.Errorf("%s: %v, %v", eventType, got, err)
		}
	}
}

func TestARecordOfAnUnknownSchemaIsUnknown(t *testing.T) {
	_, err := people(t).Decode(withSchema(recorded("registered", `{}`), "4"))
	var decode *codec.DecodeError
	if !errors.As(err, &decode) || decode.Reason != codec.UnknownType || decode.Schema != "4" {
		t.Errorf("%v", err)
	}
}

func ExampleUpcast() {
	type openedV1 struct{ Name string }
	type openedV2 struct{ First, Last string }
	type opened struct{ Owner string }

	// A step is a plain function, so a test calls it as it is.
	split := func(old openedV1) openedV2 {
		first, last, _ := strings.Cut(old.Name, " ")
		return openedV2{first, last}
	}
	events := codec.Must(codec.New[any](
		codec.Event[opened]("opened", codec.Schema("3")),
		codec.Upcast("opened", "", split),
		codec.Upcast("opened", "2", func(old openedV2) opened { return opened{old.Last + ", " + old.First} }),
	))
	record := &daybook.Record{Event: daybook.Event{Type: "opened", Data: []byte(`{"Name":"Ann Lee"}`)}}
	fmt.Println(events.Decode(record))
	// Output: [{Lee, Ann}] <nil>
}

func ExampleUpcastMany() {
	type moved struct{ From, To string }
	type left struct{ City string }
	type came struct{ City string }

	events := codec.Must(codec.New[any](
		codec.Event[left]("left"),
		codec.Event[came]("came"),
		codec.UpcastMany("moved", codec.AnySchema, func(old moved, _ *daybook.Record) ([]any, error) {
			if old.From == old.To {
				return nil, nil
			}
			return []any{left{old.From}, came{old.To}}, nil
		}),
	))
	record := &daybook.Record{Event: daybook.Event{Type: "moved", Data: []byte(`{"From":"Rome","To":"Oslo"}`)}}
	values, _ := events.Decode(record)
	fmt.Printf("%+v\n", values)
	// Output: [{City:Rome} {City:Oslo}]
}

func ExampleDrop() {
	events := codec.Must(codec.New[any](codec.Drop("page-viewed", codec.AnySchema)))
	record := &daybook.Record{Event: daybook.Event{Type: "page-viewed", Data: []byte(`{}`)}}
	fmt.Println(events.Decode(record))
	// Output: [] <nil>
}
