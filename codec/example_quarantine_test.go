package codec_test

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

// careful returns the codec of accounts for a program that goes on whatever it
// meets, after it has met a type that it does not know, and twice an amount
// that is no number.
func careful() *codec.Codec[any] {
	events := codec.Must(codec.New[any](
		codec.Event[Opened]("opened"), codec.Event[Deposited]("deposited"),
		&codec.Options{UnknownTypes: codec.Aside, BadData: codec.Aside},
	))
	frozen := daybook.Record{Event: daybook.Event{Type: "frozen"}, Position: 7}
	wrong := daybook.Record{Event: daybook.Event{Type: "deposited", Data: []byte(`{"Amount":"50"}`)}, Position: 9}
	for _, record := range []daybook.Record{frozen, wrong, wrong} {
		if _, err := events.Decode(&record); err != nil {
			panic(err)
		}
	}
	return events
}

// Somebody should look into it now and then.
func ExampleCodec_Quarantine() {
	events := careful()
	fmt.Println(events.Quarantine().Count() > 0)
	// Output: true
}

// A record that is decoded twice counts twice.
func ExampleQuarantine_Count() {
	fmt.Println(careful().Quarantine().Count())
	// Output: 3
}

// Unknown types come with the next release of another program, bad data is
// somebody's mistake.
func ExampleQuarantine_CountOf() {
	aside := careful().Quarantine()
	fmt.Println(aside.CountOf(codec.UnknownType), aside.CountOf(codec.BadData))
	// Output: 1 2
}

// Each record is held once, with the reason.
func ExampleQuarantine_Held() {
	for _, held := range careful().Quarantine().Held() {
		fmt.Println(held.Record.Position, held.Record.Type, held.Err.Reason)
	}
	// Output:
	// 7 frozen unknown type
	// 9 deposited bad data
}

// A program that decodes the log anew begins with an empty quarantine.
func ExampleQuarantine_Clear() {
	aside := careful().Quarantine()
	aside.Clear()
	fmt.Println(aside.Count(), len(aside.Held()))
	// Output: 0 0
}

// A pipeline that must stay green asks for these only.
func ExampleShapes_Undecodable() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, _ = store.Append(ctx, daybook.Stream("account-1"), daybook.ExpectNone(),
		daybook.Event{Type: "opened", Data: []byte(`{"Owner":"Ann"}`)}, daybook.Event{Type: "frozen"})
	shapes, err := codec.ReadShapes(ctx, store, []codec.Use{{Codec: accounts}}, nil)
	for _, shape := range shapes.Undecodable() {
		fmt.Println(shape.Type, shape.Failed, "of", shape.Records, "in", shape.Streams, err)
	}
	// Output: frozen 1 of 1 in [account-1] <nil>
}
