// Protobuf records events as protobuf messages, and goes on reading the JSON
// that was recorded before. protobuf.go is the encoding, a few lines to take
// along; account.go is the account, whose events, state and snapshots are the
// messages of account.proto.
//
//	go run ./examples/10-protobuf
//	go generate ./examples/10-protobuf    # account.pb.go, without protoc
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

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
	// The first release wrote JSON.
	_, err := store.Append(ctx, daybook.Stream("account-ann"), daybook.ExpectNone(),
		daybook.Event{Type: "opened", Data: []byte(`{"owner":"Ann","currency":"CURRENCY_CHF"}`)},
		daybook.Event{Type: "deposited", Data: []byte(`{"cents":"12050","booked":"2026-05-04T00:00:00Z"}`)},
	)
	if err != nil {
		return err
	}

	// This one writes protobuf behind it: to the program it is one history.
	accounts, err := newAccounts(store)
	if err != nil {
		return err
	}
	booked := timestamppb.New(time.Date(2026, time.May, 11, 0, 0, 0, 0, time.UTC))
	for _, command := range []Command{deposit(&Deposited{Cents: 7950, Booked: booked}), withdraw(2500)} {
		if _, err := accounts.Execute(ctx, "ann", command, nil); err != nil {
			return err
		}
	}
	ann, err := accounts.Load(ctx, "ann")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s has %d cents after %d events\n", ann.State.GetOwner(), ann.State.GetCents(), ann.Version)
	_, err = accounts.Execute(ctx, "ann", withdraw(20_000), nil)
	fmt.Fprintln(out, "a withdrawal of 20000:", err)

	// A snapshot is a message as well.
	if err := accounts.Close(ctx); err != nil {
		return err
	}
	for _, stream := range []daybook.StreamID{ann.Stream, aggregate.SnapshotStream(ann.Stream)} {
		for record, err := range store.ReadStream(ctx, stream, daybook.StreamRead{}) {
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%d %-10s %-20s %2d bytes  %q\n", record.Version, record.Type, record.ContentType, len(record.Data), record.Data)
		}
	}
	return nil
}
