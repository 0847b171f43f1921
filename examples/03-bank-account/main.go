// Bank-account opens accounts, moves money between them in one transaction, and
// asks what an account held before; a snapshot each 100 events keeps that quick.
// The bank itself stands in account.go.
//
//	go run ./examples/03-bank-account
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"
)

func main() {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	if err := run(context.Background(), store, os.Stdout, time.Now); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, store *daybook.Store, out io.Writer, now func() time.Time) error {
	accounts, err := newAccounts(store, aggregate.Hooks{})
	if err != nil {
		return err
	}
	defer accounts.Close(ctx)

	// A command names what it is: sent twice, it is carried out once.
	for _, c := range []struct {
		account, id string
		command     Command
	}{
		{"ann", "1", open("Ann", "DE1")}, {"bob", "2", open("Bob", "DE2")},
		{"ann", "3", deposit(100)}, {"ann", "3", deposit(100)},
	} {
		if _, err := accounts.Execute(ctx, c.account, c.command, &aggregate.CommandOptions{ID: daybook.IDOf(c.id)}); err != nil {
			return err
		}
	}
	evening := now()

	// Two accounts, one append: both or none.
	fmt.Fprintln(out, "transfer of 30:", transfer(ctx, store, accounts, "ann", "bob", 30, "4"))
	fmt.Fprintln(out, "transfer of 80:", transfer(ctx, store, accounts, "ann", "bob", 80, "5"))

	// Nobody else opens an account with Ann's number.
	_, err = accounts.Execute(ctx, "eve", open("Eve", "DE1"), nil)
	fmt.Fprintln(out, "the same number:", err)

	for range 200 {
		if _, err := accounts.Execute(ctx, "bob", deposit(1), nil); err != nil {
			return err
		}
	}
	for _, id := range []string{"ann", "bob"} {
		today, err := accounts.Load(ctx, id)
		if err != nil {
			return err
		}
		before, err := accounts.LoadAsOf(ctx, id, aggregate.AsOf{Time: evening})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s has %d after %d events; had %d after %d\n",
			today.State.Owner, today.State.Balance, today.Version, before.State.Balance, before.Version)
	}
	return nil
}

// transfer moves money between two accounts.
func transfer(ctx context.Context, store *daybook.Store, accounts *Accounts, from, to string, amount int, id string) error {
	_, err := aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := accounts.ExecuteIn(ctx, tx, from, withdraw(amount)); err != nil {
			return err
		}
		_, err := accounts.ExecuteIn(ctx, tx, to, deposit(amount))
		return err
	}, &aggregate.TransactionOptions{CommandOptions: aggregate.CommandOptions{ID: daybook.IDOf(id)}})
	return err
}
