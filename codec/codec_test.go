package codec_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// The events of an account, as a program would write them.
type (
	accountEvent interface{ accept(accountEvents) }

	accountEvents interface {
		opened(opened)
		deposited(deposited)
		closed(*closed)
	}

	opened struct {
		Owner string `json:"owner"`
		IBAN  string `json:"iban"`
	}
	deposited struct {
		Amount int64 `json:"amount"`
	}
	closed struct{}
)

func (e opened) accept(to accountEvents)    { to.opened(e) }
func (e deposited) accept(to accountEvents) { to.deposited(e) }
func (e *closed) accept(to accountEvents)   { to.closed(e) }

func (e opened) Tags() []string               { return []string{"owner:" + e.Owner} }
func (e opened) Claims() []daybook.Claim      { return []daybook.Claim{{Kind: "iban", Value: e.IBAN}} }
func (e *closed) Occurred() time.Time         { return time.UnixMicro(7).UTC() }
func (e opened) Requires() []daybook.StreamID { return []daybook.StreamID{daybook.Stream("bank")} }

func account(t *testing.T, entries ...codec.Entry) *codec.Codec[accountEvent] {
	t.Helper()
	c, err := codec.New[accountEvent](append([]codec.Entry{
		codec.Event[opened]("opened"), codec.Event[deposited]("deposited"), codec.Event[*closed]("closed"),
	}, entries...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record is an event as it comes back.
func record(event daybook.Event) *daybook.Record {
	if event.ContentType == "" {
		event.ContentType = daybook.ContentTypeJSON
	}
	return &daybook.Record{Event: event, Stream: daybook.Stream("account-1"), Version: 3, Position: 17}
}

func recorded(eventType, data string) *daybook.Record {
	return record(daybook.Event{Type: eventType, Data: []byte(data)})
}

func TestWhatIsEncodedDecodes(t *testing.T) {
	c := account(t)
	for _, value := range []accountEvent{opened{"Ann <&>", "DE1"}, deposited{1<<63 - 1}, &closed{}} {
		event, err := c.Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(record(event))
		if err != nil || len(got) != 1 {
			t.Fatalf("%s %s: %v %v", event.Type, event.Data, got, err)
		}
		if want, is := value.(*closed); is {
			if back, ok := got[0].(*closed); !ok || *back != *want {
				t.Errorf("got %#v, want %#v", got[0], value)
			}
		} else if got[0] != value {
			t.Errorf("got %#v, want %#v", got[0], value)
		}
	}
}

func TestAnEventHasTheNameDataAndTagsOfItsValue(t *testing.T) {
	event, err := account(t).Encode(opened{"Ann <&>", "DE1"})
	if err != nil {
		t.Fatal(err)
	}
	if event.Type != "opened" || string(event.Data) != `{"owner":"Ann <&>","iban":"DE1"}` || event.ContentType != daybook.ContentTypeJSON {
		t.Errorf("got %s %s %s", event.Type, event.ContentType, event.Data)
	}
	if !slices.Equal(event.Tags, []string{"owner:Ann <&>"}) {
		t.Errorf("tags %q", event.Tags)
	}
	event, err = account(t).Encode(&closed{})
	if err != nil || !event.OccurredAt.Equal(time.UnixMicro(7)) {
		t.Errorf("occurred at %v, %v", event.OccurredAt, err)
	}
}

func TestAWrongValueIsNotEncoded(t *testing.T) {
	c := account(t)
	for name, test := range map[string]struct {
		value accountEvent
		is    error
		says  string
	}{
		"nil":               {nil, codec.ErrNil, "nil"},
		"a nil pointer":     {(*closed)(nil), codec.ErrNil, "*codec_test.closed"},
		"a pointer instead": {&deposited{}, codec.ErrUnregistered, "which has one for codec_test.deposited"},
	} {
		_, err := c.Encode(test.value)
		var encode *codec.EncodeError
		if !errors.Is(err, test.is) || !errors.Is(err, daybook.ErrInvalid) || !errors.As(err, &encode) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongWithTheEntriesIsToldWhenTheCodecIsBuilt(t *testing.T) {
	whole := []codec.Entry{codec.Event[opened]("opened"), codec.Event[deposited]("deposited"), codec.Event[*closed]("closed")}
	for name, test := range map[string]struct {
		entries []codec.Entry
		says    []string
	}{
		"a name twice":        {append(whole, codec.Drop("opened", codec.AnySchema)), []string{`"opened"`, "stands for codec_test.opened already"}},
		"a type twice":        {append(whole, codec.Event[opened]("begun")), []string{`"begun" of type codec_test.opened`, `event "opened" already`}},
		"a forgotten type":    {whole[:2], []string{"*codec_test.closed", "no entry", "accountEvents: closed"}},
		"no event of the set": {append(whole, codec.Event[string]("said")), []string{`"said" of type string`, "no codec_test.accountEvent"}},
		"a pointer missing":   {append(whole[:2:2], codec.Event[closed]("closed")), []string{"but *codec_test.closed is"}},
		"an empty name":       {append(whole[:2:2], codec.Event[*closed]("")), []string{"must not be empty"}},
		"an interface":        {append(whole, codec.Event[accountEvent]("any")), []string{"an interface is no event"}},
		"a step to nowhere": {append(whole, codec.Upcast("old", "", func(string) int { return 1 })),
			[]string{"leads to int, which is neither"}},
		"steps in a circle": {append(whole, codec.Upcast("old", "1", func(string) int { return 1 }), codec.Upcast("old", "2", func(int) string { return "" })),
			[]string{"in a circle"}},
		"an option of another type": {append(whole[:2:2], codec.Event[*closed]("closed", codec.Tags(func(opened) []string { return nil }))),
			[]string{"option Tags is for codec_test.opened"}},
	} {
		_, err := codec.New[accountEvent](test.entries...)
		var entry *codec.EntryError
		if !errors.As(err, &entry) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range test.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
	}
}
