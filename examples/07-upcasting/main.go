// Upcasting reads what three releases of a program have recorded, each in
// another shape, as the events of the last one. Records never change; small
// steps say how each old shape becomes the next.
//
//	go run ./examples/07-upcasting
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// customer is a fold of all events.
type customer struct {
	name string
	home address
}

func (c *customer) registered(e registered) { c.name, c.home = e.First+" "+e.Last, e.Home }
func (c *customer) moved(e moved)           { c.home = e.To }

func run(ctx context.Context, out io.Writer) error {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	if err := appendThePast(ctx, store); err != nil {
		return err
	}
	events, err := customerCodec()
	if err != nil {
		return err
	}

	// The third release records its own shape beside the old ones.
	today, err := events.Changeset(daybook.Stream("customer-3"), daybook.ExpectNone(), registered{"Eve", "Kent", address{"Oslo", "NO"}})
	if err != nil {
		return err
	}
	if _, err := store.AppendAll(ctx, daybook.Append{Changesets: []daybook.Changeset{today}}); err != nil {
		return err
	}

	customers := map[string]*customer{}
	for record, err := range store.ReadLog(ctx, daybook.LogRead{}) {
		if err != nil {
			return err
		}
		values, err := events.Decode(&record)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s %s -> %+v\n", record.Stream, record.Type, record.Data, values)
		c := customers[record.Stream.Key()]
		if c == nil {
			c = &customer{}
			customers[record.Stream.Key()] = c
		}
		for _, value := range values {
			value.accept(c)
		}
	}
	for _, key := range []string{"1", "2", "3"} {
		fmt.Fprintf(out, "customer %s: %s, %s (%s)\n", key, customers[key].name, customers[key].home.City, customers[key].home.Country)
	}
	return nil
}

// appendThePast appends what the first two releases have left.
func appendThePast(ctx context.Context, store *daybook.Store) error {
	ann, bob := daybook.Stream("customer-1"), daybook.Stream("customer-2")
	for _, past := range []struct {
		stream       daybook.StreamID
		kind, schema string
		data         string
	}{
		{ann, "registered", "", `{"Name":"Ann Lee","City":"Bonn"}`},
		{ann, "viewed", "", `{"Page":"/start"}`},
		{ann, "changed", "", `{"Field":"fax","Value":"0228-1"}`},
		{bob, "registered", "2", `{"First":"Bob","Last":"May","City":"Kiel"}`},
		{ann, "changed", "", `{"Field":"city","Value":"Köln"}`},
	} {
		event := daybook.Event{Type: past.kind, Data: []byte(past.data), Context: daybook.Context{Schema: past.schema}}
		if _, err := store.Append(ctx, past.stream, daybook.ExpectAny(), event); err != nil {
			return err
		}
	}
	return nil
}
