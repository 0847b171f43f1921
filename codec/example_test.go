package codec_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// The events of an account, which accept the set of all of them. Whatever
// folds them is such a set, and does not compile until it handles each.
type (
	AccountEvent interface{ accept(AccountEvents) }

	AccountEvents interface {
		Opened(Opened)
		Deposited(Deposited)
	}

	Opened    struct{ Owner string }
	Deposited struct{ Amount int }
)

func (e Opened) accept(to AccountEvents)    { to.Opened(e) }
func (e Deposited) accept(to AccountEvents) { to.Deposited(e) }

var accounts = codec.Must(codec.New[AccountEvent](
	codec.Event[Opened]("opened"),
	codec.Event[Deposited]("deposited"),
))

// balance is a fold.
type balance struct{ total int }

func (b *balance) Opened(Opened)         {}
func (b *balance) Deposited(e Deposited) { b.total += e.Amount }

// A value becomes an event, and its record becomes the value again.
func Example() {
	event, err := accounts.Encode(Deposited{Amount: 50})
	fmt.Println(event.Type, string(event.Data), err)

	record := &daybook.Record{Event: event} // as a store gives it back
	values, err := accounts.Decode(record)
	fmt.Printf("%+v %v\n", values, err)

	var b balance
	for _, value := range values {
		value.accept(&b)
	}
	fmt.Println(b.total)
	// Output:
	// deposited {"Amount":50} <nil>
	// [{Amount:50}] <nil>
	// 50
}

// What is wrong with the entries is told at once, and all of it.
func ExampleNew() {
	_, err := codec.New[any](
		codec.Event[Opened]("opened"),
		codec.Event[Opened]("begun"),
		codec.Event[Deposited]("opened"),
	)
	fmt.Println(err)
	// Output:
	// codec: event "begun" of type codec_test.Opened: the type is event "opened" already; for an old name see Formerly
	// codec: event "opened" of type codec_test.Deposited: the name stands for codec_test.Opened already
}

// An event that was forgotten is found before the first one comes.
func ExampleSealed() {
	_, err := codec.New[any](
		codec.Sealed[AccountEvents](),
		codec.Event[Opened]("opened"),
	)
	fmt.Println(err)
	// Output: codec: type codec_test.Deposited: it has no entry, but a method in codec_test.AccountEvents: Deposited
}

func ExampleMust() {
	defer func() { fmt.Println(recover()) }()
	codec.Must(codec.New[any](codec.Event[Opened]("")))
	// Output: codec: type codec_test.Opened: the name must not be empty
}

func ExampleEvent() {
	events := codec.Must(codec.New[any](
		codec.Event[Opened]("opened", codec.Schema("2"), codec.Tags(func(e Opened) []string { return []string{"owner:" + e.Owner} })),
	))
	event, _ := events.Encode(Opened{"Ann"})
	fmt.Println(event.Type, event.Context.Schema, event.Tags)
	// Output: opened 2 [owner:Ann]
}

// A renamed event keeps reading what was recorded under its old name.
func ExampleFormerly() {
	events := codec.Must(codec.New[any](codec.Event[Opened]("account-opened", codec.Formerly("opened"))))
	values, err := events.Decode(&daybook.Record{Event: daybook.Event{Type: "opened", Data: []byte(`{"Owner":"Ann"}`)}})
	fmt.Println(values, err, events.Names())
	// Output: [{Ann}] <nil> [account-opened opened]
}

// Only records of its schema are read as the event of today; the others need a
// step.
func ExampleSchema() {
	events := codec.Must(codec.New[any](codec.Event[Opened]("opened", codec.Schema("2"))))
	_, err := events.Decode(&daybook.Record{Event: daybook.Event{Type: "opened"}, Stream: daybook.Stream("account-1"), Version: 1, Position: 9})
	fmt.Println(err)
	// Output: codec: record 9, version 1 of stream "account-1": unknown type: type "opened": only other schemas of it have an entry
}

func ExampleTags() {
	branch := codec.Tags(func(e Deposited) []string { return []string{fmt.Sprint("over-100:", e.Amount > 100)} })
	events := codec.Must(codec.New[any](codec.Event[Deposited]("deposited", branch)))
	event, _ := events.Encode(Deposited{150})
	fmt.Println(event.Tags)
	// Output: [over-100:true]
}

// The published address of a blog is unique, and its author must exist.
func ExampleCodec_Changeset() {
	type published struct{ Slug, Author string }
	type retired struct{ Slug string }
	slug := func(text string) []daybook.Claim { return []daybook.Claim{{Kind: "slug", Value: text}} }
	events := codec.Must(codec.New[any](
		codec.Event[published]("published",
			codec.Claims(func(e published) []daybook.Claim { return slug(e.Slug) }),
			codec.Requires(func(e published) []daybook.StreamID { return []daybook.StreamID{daybook.Stream("author-" + e.Author)} })),
		codec.Event[retired]("retired", codec.Releases(func(e retired) []daybook.Claim { return slug(e.Slug) })),
	))
	changeset, err := events.Changeset(daybook.Stream("blog-1"), daybook.ExpectNone(), published{"go", "ann"})
	fmt.Println(changeset.Claims, changeset.References, err)
	changeset, err = events.Changeset(daybook.Stream("blog-1"), daybook.ExpectVersion(1), retired{"go"}, published{"golang", "ann"})
	fmt.Println(changeset.Claims, changeset.Releases, err)
	// Output:
	// [{slug go}] [author-ann] <nil>
	// [{slug golang}] [{slug go}] <nil>
}

func ExampleClaims() {
	iban := codec.Claims(func(e Opened) []daybook.Claim { return []daybook.Claim{{Kind: "owner", Value: e.Owner}} })
	events := codec.Must(codec.New[any](codec.Event[Opened]("opened", iban)))
	changeset, _ := events.Changeset(daybook.Stream("account-1"), daybook.ExpectNone(), Opened{"Ann"})
	fmt.Println(changeset.Claims)
	// Output: [{owner Ann}]
}

func ExampleReleases() {
	type closed struct{ Owner string }
	owner := codec.Releases(func(e closed) []daybook.Claim { return []daybook.Claim{{Kind: "owner", Value: e.Owner}} })
	events := codec.Must(codec.New[any](codec.Event[closed]("closed", owner)))
	changeset, _ := events.Changeset(daybook.Stream("account-1"), daybook.ExpectExists(), closed{"Ann"})
	fmt.Println(changeset.Releases)
	// Output: [{owner Ann}]
}

func ExampleRequires() {
	bank := codec.Requires(func(Opened) []daybook.StreamID { return []daybook.StreamID{daybook.Stream("bank-7")} })
	events := codec.Must(codec.New[any](codec.Event[Opened]("opened", bank)))
	changeset, _ := events.Changeset(daybook.Stream("account-1"), daybook.ExpectNone(), Opened{"Ann"})
	fmt.Println(changeset.References)
	// Output: [bank-7]
}

func ExampleOccurred() {
	type measured struct {
		At    time.Time
		Value float64
	}
	events := codec.Must(codec.New[any](codec.Event[measured]("measured", codec.Occurred(func(e measured) time.Time { return e.At }))))
	event, _ := events.Encode(measured{time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), 21.5})
	fmt.Println(event.OccurredAt)
	// Output: 2026-05-01 10:00:00 +0000 UTC
}

func ExampleCodec_Encode() {
	_, err := accounts.Encode(nil)
	fmt.Println(err, errors.Is(err, codec.ErrNil), errors.Is(err, daybook.ErrInvalid))
	// Output: codec: encode: the value is nil true true
}

func ExampleCodec_EncodeAll() {
	events, err := accounts.EncodeAll(Opened{"Ann"}, Deposited{50})
	for _, event := range events {
		fmt.Println(event.Type, string(event.Data))
	}
	fmt.Println(err)
	// Output:
	// opened {"Owner":"Ann"}
	// deposited {"Amount":50}
	// <nil>
}

func ExampleCodec_Decode() {
	_, err := accounts.Decode(&daybook.Record{
		Event:  daybook.Event{Type: "deposited", Data: []byte(`{"Amount":"50"}`)},
		Stream: daybook.Stream("account-1"), Version: 2, Position: 9,
	})
	var decode *codec.DecodeError
	fmt.Println(errors.As(err, &decode), decode.Reason, decode.Position)
	// Output: true bad data 9
}

// Whoever decodes many records may use the same memory for all.
func ExampleCodec_AppendDecode() {
	total := 0
	var values []AccountEvent
	for _, data := range []string{`{"Amount":50}`, `{"Amount":20}`} {
		record := &daybook.Record{Event: daybook.Event{Type: "deposited", Data: []byte(data)}}
		values, _ = accounts.AppendDecode(values[:0], record)
		for _, value := range values {
			total += value.(Deposited).Amount
		}
	}
	fmt.Println(total)
	// Output: 70
}

func ExampleCodec_Check() {
	record := &daybook.Record{Event: daybook.Event{Type: "frozen"}, Stream: daybook.Stream("account-1"), Version: 2, Position: 9}
	fmt.Println(accounts.Check(record))
	// Output: codec: record 9, version 2 of stream "account-1": unknown type: type "frozen"
}

func ExampleCodec_Name() {
	fmt.Println(accounts.Name(Deposited{}))
	// Output: deposited <nil>
}

// A reader that asks for the names of its codec does not get other records.
func ExampleCodec_Names() {
	read := daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: accounts.Names()}}}}}
	fmt.Println(read.Filter.Query.Items)
	// Output: [{[deposited opened] []}]
}

// The program goes on, and somebody can look at what it has left out.
func ExampleQuarantine() {
	events := codec.Must(codec.New[any](
		codec.Event[Deposited]("deposited"),
		&codec.Options{BadData: codec.Aside},
	))
	record := &daybook.Record{Event: daybook.Event{Type: "deposited", Data: []byte(`{"Amount":"50"}`)}, Position: 9}
	fmt.Println(events.Decode(record))
	fmt.Println(events.Quarantine().Count(), events.Quarantine().Held()[0].Err.Reason)
	// Output:
	// [] <nil>
	// 1 bad data
}

// Several codecs may share one quarantine, with bounds.
func ExampleNewQuarantine() {
	aside := codec.NewQuarantine(&codec.QuarantineOptions{Records: 100, Bytes: 1 << 20})
	options := &codec.Options{UnknownTypes: codec.Aside, Quarantine: aside}
	accounts := codec.Must(codec.New[any](codec.Event[Opened]("opened"), options))
	_, _ = accounts.Decode(&daybook.Record{Event: daybook.Event{Type: "frozen"}})
	fmt.Println(aside.Count(), aside.CountOf(codec.UnknownType))
	// Output: 1 1
}

// Numbers in fields of type any keep their digits, strings stay strings.
func ExampleJSON() {
	values := map[string]any{}
	err := codec.JSON{}.Decode([]byte(`{"id":9007199254740993,"at":"2018-04-01T10:00:00Z"}`), &values)
	fmt.Printf("%v %T %v\n", values, values["at"], err)
	// Output: map[at:2018-04-01T10:00:00Z id:9007199254740993] string <nil>
}

// Reading is a value that knows how to write itself in few bytes.
type Reading struct {
	Sensor uint32
	Value  int64
}

// AppendBinary implements encoding.BinaryAppender.
func (r Reading) AppendBinary(b []byte) ([]byte, error) {
	return binary.AppendVarint(binary.AppendUvarint(b, uint64(r.Sensor)), r.Value), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Reading) UnmarshalBinary(data []byte) error {
	sensor, n := binary.Uvarint(data)
	if n <= 0 {
		return errors.New("too short")
	}
	value, m := binary.Varint(data[n:])
	if m <= 0 || n+m != len(data) {
		return errors.New("too short, or too long")
	}
	r.Sensor, r.Value = uint32(sensor), value
	return nil
}

// compact is an encoding of values that write themselves. One for protobuf
// looks the same: Encode calls proto.Marshal, Decode proto.Unmarshal, and the
// events are pointers to generated messages.
type compact struct{}

func (compact) ContentType() string { return "application/x-compact" }

func (compact) Encode(value any) ([]byte, error) {
	writer, ok := value.(interface{ AppendBinary([]byte) ([]byte, error) })
	if !ok {
		return nil, fmt.Errorf("%T cannot write itself", value)
	}
	return writer.AppendBinary(nil)
}

func (compact) Decode(data []byte, into any) error {
	reader, ok := into.(interface{ UnmarshalBinary([]byte) error })
	if !ok {
		return fmt.Errorf("%T cannot read itself", into)
	}
	return reader.UnmarshalBinary(data)
}

// New events are written in another encoding, old ones are read as JSON.
func ExampleEncoding() {
	events := codec.Must(codec.New[any](
		codec.Event[Reading]("read"),
		&codec.Options{Encoding: compact{}, Also: []codec.Encoding{codec.JSON{}}},
	))
	event, _ := events.Encode(Reading{Sensor: 7, Value: -3})
	fmt.Printf("%s %x\n", event.ContentType, event.Data)

	values, err := events.Decode(&daybook.Record{Event: event})
	fmt.Printf("%+v %v\n", values, err)

	old := daybook.Event{Type: "read", ContentType: daybook.ContentTypeJSON, Data: []byte(`{"Sensor":7,"Value":-3}`)}
	values, err = events.Decode(&daybook.Record{Event: old})
	fmt.Printf("%+v %v\n", values, err)
	// Output:
	// application/x-compact 0705
	// [{Sensor:7 Value:-3}] <nil>
	// [{Sensor:7 Value:-3}] <nil>
}

// A state that is kept beside the events comes back the same way.
func ExampleDecodeAs() {
	state, err := codec.DecodeAs[*Reading](compact{}, []byte{7, 5})
	fmt.Printf("%+v %v\n", *state, err)
	_, err = codec.DecodeAs[Reading](codec.JSON{}, []byte(`null`))
	fmt.Println(err)
	// Output:
	// {Sensor:7 Value:-3} <nil>
	// json: the document is null
}
