package livestate_test

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook/livestate"
)

// The state follows what was added, before anything is stored.
func ExampleTransaction_State() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	_, _ = service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		err := tx.Add(Visited{"Ann"})
		stored, _ := store.Head(ctx, guestbook)
		fmt.Println(visitors.Of(tx.State()).Last, stored.Version)
		return err
	}, nil)
	// Output:
	// Ann 0
}

// What a fold cannot take is not added, and the transaction may go on without
// it.
func ExampleTransaction_Add() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	done, err := service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		fmt.Println(tx.Add(Visited{""}))
		return tx.Add(Visited{"Ann"})
	}, nil)
	fmt.Println(visitors.Of(done.State), err)
	// Output:
	// fold "visitors-1" cannot take the event livestate_test.Visited: a visitor has a name
	// {1 Ann} <nil>
}

// Abort ends a transaction without an error, and nothing is stored.
func ExampleTransaction_Abort() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	done, err := service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		if err := tx.Add(Visited{"Ann"}); err != nil {
			return err
		}
		tx.Abort()
		fmt.Println(tx.Add(Visited{"Bob"}))
		return nil
	}, nil)
	fmt.Println(visitors.Of(done.State).Count, err)
	// Output:
	// the transaction was aborted: refused
	// 0 <nil>
}

// What a mail says must not be sent by a try that others were quicker than.
func ExampleTransaction_OnCommit() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	_, err := service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		tx.OnCommit(func(events []Visited) { fmt.Println("mail: welcome", events) })
		return tx.Add(Visited{"Ann"}, Visited{"Bob"})
	}, nil)
	fmt.Println(err)
	// Output:
	// mail: welcome [{Ann} {Bob}]
	// <nil>
}

// What was taken meanwhile is given back.
func ExampleTransaction_OnAbort() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	_, err := service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		tx.OnAbort(func() { fmt.Println("the chair is free again") })
		return tx.Add(Visited{""})
	}, nil)
	fmt.Println(err)
	// Output:
	// the chair is free again
	// fold "visitors-1" cannot take the event livestate_test.Visited: a visitor has a name
}
