// First-events opens a store in a directory, appends events to a stream, reads
// them back, and shows what happens when two decide at once.
//
//	go run ./examples/01-first-events
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func main() {
	dir, err := os.MkdirTemp("", "first-events-")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), dir, os.Stdout)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

// amount is the data of the events that move money.
type amount struct {
	Amount int `json:"amount"`
}

func run(ctx context.Context, dir string, out io.Writer) error {
	driver, err := disk.Open(dir, nil)
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()

	// A stream begins with its first events. ExpectNone: unless it is there.
	account := daybook.Stream("account-123")
	receipt, err := store.Append(ctx, account, daybook.ExpectNone(),
		daybook.Event{Type: "opened", Data: []byte(`{"owner":"Ann"}`)},
		daybook.Event{Type: "deposited", Data: []byte(`{"amount":50}`)},
	)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "stored up to position %d, durability %s\n", receipt.Position(), receipt.Durability)

	// What is true now follows from what has happened.
	balance, version, err := fold(ctx, store, account)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "version %d: balance %d\n", version, balance)

	// Somebody else is quicker.
	if _, err := store.Append(ctx, account, daybook.ExpectAny(), withdrawn(40)); err != nil {
		return err
	}

	// So a decision on what was true before is refused, and told what it missed.
	_, err = store.Append(ctx, account, daybook.ExpectVersion(version), withdrawn(30))
	var conflict *daybook.ConflictError
	if !errors.As(err, &conflict) {
		return fmt.Errorf("the second withdrawal was not refused: %w", err)
	}
	fmt.Fprintln(out, "refused:", conflict)
	for _, changeset := range conflict.Missed {
		for _, record := range changeset.Records {
			fmt.Fprintf(out, "missed: version %d %s %s\n", record.Version, record.Type, record.Data)
		}
	}

	// Decide again: 10 are left.
	if _, err := store.Append(ctx, account, daybook.ExpectVersion(conflict.Found.Version), withdrawn(10)); err != nil {
		return err
	}
	balance, version, err = fold(ctx, store, account)
	fmt.Fprintf(out, "version %d: balance %d\n", version, balance)
	return err
}

func withdrawn(n int) daybook.Event {
	return daybook.Event{Type: "withdrawn", Data: fmt.Appendf(nil, `{"amount":%d}`, n)}
}

// fold reads an account from its first event to its last.
func fold(ctx context.Context, store *daybook.Store, account daybook.StreamID) (balance int, version daybook.Version, err error) {
	for record, err := range store.ReadStream(ctx, account, daybook.StreamRead{}) {
		if err != nil {
			return 0, 0, err
		}
		version = record.Version
		var moved amount
		if err := json.Unmarshal(record.Data, &moved); err != nil {
			return 0, 0, err
		}
		switch record.Type {
		case "deposited":
			balance += moved.Amount
		case "withdrawn":
			balance -= moved.Amount
		}
	}
	return balance, version, nil
}
