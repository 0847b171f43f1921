package codec_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

type (
	noSet      interface{ opened() }
	twoAtOnce  interface{ Both(opened, deposited) }
	manyAtOnce interface{ All(...opened) }
	onlyOpened interface{ opened(opened) }
)

func TestASetOfEventsThatIsNoneIsToldWhenTheCodecIsBuilt(t *testing.T) {
	for name, test := range map[string]struct {
		entries []codec.Entry
		says    string
	}{
		"no interface":            {[]codec.Entry{codec.Sealed[int]()}, "a set of events is an interface"},
		"no methods":              {[]codec.Entry{codec.Sealed[any]()}, "a set of events is an interface"},
		"a method without events": {[]codec.Entry{codec.Sealed[noSet]()}, "its method opened must take one event"},
		"a method with two":       {[]codec.Entry{codec.Sealed[twoAtOnce]()}, "its method Both must take one event"},
		"a method with many":      {[]codec.Entry{codec.Sealed[manyAtOnce]()}, "its method All must take one event"},
		"an event that is in none": {[]codec.Entry{codec.Sealed[onlyOpened](), codec.Event[opened]("opened"), codec.Event[deposited]("deposited")},
			`"deposited" of type codec_test.deposited: no method of codec_test.onlyOpened takes it`},
		"options twice":     {[]codec.Entry{&codec.Options{}, &codec.Options{}}, "the options are given twice"},
		"a nil entry":       {[]codec.Entry{nil}, "entry 0 is nil"},
		"one content type":  {[]codec.Entry{&codec.Options{Also: []codec.Encoding{codec.JSON{}}}}, `two encodings for content type "application/json"`},
		"not strict":        {[]codec.Entry{&codec.Options{Encoding: compact{}, UnknownFields: codec.Fail}}, "is no StrictEncoding"},
		"any schema":        {[]codec.Entry{codec.Event[opened]("opened", codec.Schema("*"))}, "must be a name, not AnySchema"},
		"a long schema":     {[]codec.Entry{codec.Drop("x", strings.Repeat("x", daybook.MaxTextLen+1))}, "longer than 4096 bytes"},
		"a long name":       {[]codec.Entry{codec.Event[opened](strings.Repeat("x", daybook.MaxTypeLen+1))}, "longer than 256 bytes"},
		"a name of no text": {[]codec.Entry{codec.Event[opened]("\xff")}, "valid UTF-8"},
		"a schema twice": {[]codec.Entry{codec.Drop("x", "1"), codec.Event[opened]("x", codec.Schema("1"))},
			`the name with schema "1" stands for codec_test.opened already`},
		"no schema twice": {[]codec.Entry{codec.Drop("x", ""), codec.Drop("x", "")}, "the name without a schema stands for what is dropped already"},
		"two ways on": {[]codec.Entry{codec.Event[opened]("opened"),
			codec.Upcast("a", "", func(string) int { return 1 }), codec.Upcast("b", "", func(int) opened { return opened{} }),
			codec.Upcast("c", "", func(int) opened { return opened{} })}, "from which two steps lead on"},
		"a step from an interface": {[]codec.Entry{codec.Event[opened]("opened"), codec.Upcast("x", "", func(error) opened { return opened{} })},
			"nothing decodes into an interface with methods"},
	} {
		c, err := codec.New[any](test.entries...)
		var entry *codec.EntryError
		if c != nil || !errors.As(err, &entry) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v; want it to say %q", name, err, test.says)
		}
	}
}

func TestAnEntryMayStandInSeveralCodecs(t *testing.T) {
	entry := codec.Event[opened]("opened", codec.Formerly("begun"))
	for range 2 {
		c := codec.Must(codec.New[any](entry, (*codec.Options)(nil)))
		if got := c.Names(); !reflect.DeepEqual(got, []string{"begun", "opened"}) {
			t.Errorf("names %q", got)
		}
	}
}

func TestACodecOfASingleTypeNeedsNoInterface(t *testing.T) {
	c := codec.Must(codec.New[deposited](codec.Event[deposited]("deposited")))
	event, err := c.Encode(deposited{5})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(record(event)); err != nil || !reflect.DeepEqual(got, []deposited{{5}}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatAnEncodingCannotWriteIsTheValuesFault(t *testing.T) {
	type sent struct{ What any }
	c := codec.Must(codec.New[any](codec.Event[sent]("sent"), codec.Event[deposited]("deposited")))
	_, one := c.Encode(sent{make(chan int)})
	_, all := c.EncodeAll(deposited{1}, sent{make(chan int)})
	_, changeset := c.Changeset(daybook.Stream("a-1"), daybook.ExpectAny(), sent{make(chan int)})
	for _, err := range []error{one, all, changeset} {
		var encode *codec.EncodeError
		if !errors.As(err, &encode) || encode.Type.String() != "codec_test.sent" || !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.Name(7); !errors.Is(err, codec.ErrUnregistered) {
		t.Errorf("%v", err)
	}
}

func TestContentTypesAreComparedWithoutParametersAndCase(t *testing.T) {
	r := recorded("deposited", `{"amount":5}`)
	for _, contentType := range []string{"", "application/json", "application/json; charset=utf-8", "Application/JSON"} {
		r.ContentType = contentType
		if got, err := account(t).Decode(r); err != nil || len(got) != 1 {
			t.Errorf("%q: %v, %v", contentType, got, err)
		}
	}
}

func TestJSONAloneIsStrictWhenAsked(t *testing.T) {
	var value deposited
	if err := (codec.JSON{}).DecodeStrict([]byte(`{"amount":5}`), &value); err != nil || value.Amount != 5 {
		t.Errorf("got %v, %v", value, err)
	}
	if err := (codec.JSON{}).DecodeStrict([]byte(`{"amount":5,"by":1}`), &value); !errors.Is(err, codec.ErrUnknownField) || !strings.Contains(err.Error(), `"by"`) {
		t.Errorf("%v", err)
	}
}
