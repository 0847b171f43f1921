// Organization registers and renames an organization, as an object that emits
// events. Every event tells who did it and why: the context of an event.
//
//	go run ./examples/05-organization
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"
)

func main() {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	if err := run(context.Background(), store, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, store *daybook.Store, out io.Writer) error {
	organizations, err := aggregate.NewObjects(store, "organization", events, func() *Organization { return &Organization{} }, nil)
	if err != nil {
		return err
	}

	// Who did it, and what led to it, is said beside the command.
	by := func(who, what string) *aggregate.CommandOptions {
		return &aggregate.CommandOptions{Context: daybook.Context{Who: who, Why: &daybook.Cause{What: what, Who: who}}}
	}
	register := func(o *Organization) error { return o.Register("Daybok") }
	if _, err := organizations.Update(ctx, "1", register, by("ann", "register organization")); err != nil {
		return err
	}
	// Again: nothing happens, and nothing is stored.
	if _, err := organizations.Update(ctx, "1", register, by("ann", "register organization")); err != nil {
		return err
	}
	rename := func(o *Organization) error { return o.Rename("Daybook") }
	if _, err := organizations.Update(ctx, "1", rename, by("bob", "correct the spelling")); err != nil {
		return err
	}

	// The same in two steps, for those who hold the object meanwhile.
	organization, err := organizations.Load(ctx, "1")
	if err != nil {
		return err
	}
	if err := organization.Rename("The Daybook"); err != nil {
		return err
	}
	if _, err := organizations.Persist(ctx, organization, by("ann", "council of May")); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, version %d\n", organization.Name, organization.Version())
	_, err = organizations.Update(ctx, "2", rename, nil)
	fmt.Fprintln(out, "another one:", err)

	for record, err := range store.ReadStream(ctx, organizations.Stream("1"), daybook.StreamRead{}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d %s %s by %s: %s\n", record.Version, record.Type, record.Data, record.Context.Who, record.Context.Why.What)
	}
	return nil
}
