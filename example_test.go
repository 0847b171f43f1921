package daybook_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// The first program: open a store, append, read.
func Example() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()

	account := daybook.Stream("account-123")
	_, err := store.Append(ctx, account, daybook.ExpectNone(),
		daybook.Event{Type: "opened", Data: []byte(`{"owner":"Ann"}`)},
		daybook.Event{Type: "deposited", Data: []byte(`{"amount":100}`), Tags: []string{"branch:7"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for record, err := range store.ReadStream(ctx, account, daybook.StreamRead{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record.Version, record.Type, string(record.Data))
	}
	// Output:
	// 1 opened {"owner":"Ann"}
	// 2 deposited {"amount":100}
}

// A conflict tells what was missed, so that the caller can decide again
// without reading.
func ExampleConflictError() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	cart := daybook.Stream("cart-9")
	_, _ = store.Append(ctx, cart, daybook.ExpectNone(), daybook.Event{Type: "opened"})
	_, _ = store.Append(ctx, cart, daybook.ExpectVersion(1), daybook.Event{Type: "checked-out"})

	_, err := store.Append(ctx, cart, daybook.ExpectVersion(1), daybook.Event{Type: "item-added"})
	var conflict *daybook.ConflictError
	if errors.As(err, &conflict) {
		fmt.Println(err)
		for _, changeset := range conflict.Missed {
			fmt.Println("missed:", changeset.Records[0].Type)
		}
	}
	// Output:
	// stream "cart-9": expected version 1, found version 2, changeset 2
	// missed: checked-out
}

// One append over two streams, that a retry cannot carry out twice: the ID
// makes it repeatable.
func ExampleStore_AppendAll() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	transfer := daybook.Append{
		ID: daybook.IDOf("transfer 4711"),
		Changesets: []daybook.Changeset{
			{Stream: daybook.Stream("account-1"), Events: []daybook.Event{{Type: "withdrawn", Data: []byte(`{"amount":30}`)}}},
			{Stream: daybook.Stream("account-2"), Events: []daybook.Event{{Type: "deposited", Data: []byte(`{"amount":30}`)}}},
		},
	}
	first, _ := store.AppendAll(ctx, transfer)
	again, _ := store.AppendAll(ctx, transfer)
	fmt.Println(first.Position(), first.Repeated)
	fmt.Println(again.Position(), again.Repeated)
	// Output:
	// 2 false
	// 2 true
}

// A condition on a query guards a rule that no single stream holds: a course
// takes two students.
func ExampleCondition() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	enrolled := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"enrolled"}, Tags: []string{"course:go"}}}}

	enrol := func(student string) error {
		var seen daybook.Position
		taken := 0
		for record, err := range store.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: enrolled}}) {
			if err != nil {
				return err
			}
			taken, seen = taken+1, record.Position
		}
		if taken == 2 {
			return errors.New("the course is full")
		}
		_, err := store.AppendAll(ctx, daybook.Append{
			Condition: &daybook.Condition{Query: enrolled, After: seen},
			Changesets: []daybook.Changeset{{
				Stream: daybook.Stream("student-" + student),
				Events: []daybook.Event{{Type: "enrolled", Tags: []string{"course:go", "student:" + student}}},
			}},
		})
		return err
	}
	for _, student := range []string{"ann", "bob", "cid"} {
		fmt.Println(student, enrol(student))
	}
	// Output:
	// ann <nil>
	// bob <nil>
	// cid the course is full
}

// What must go is deleted for every reader at once. The stream is remembered:
// it goes on above what was deleted.
func ExampleStore_DeleteStream() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()

	user := daybook.Stream("user-17")
	for _, kind := range []string{"registered", "moved", "left"} {
		if _, err := store.Append(ctx, user, daybook.ExpectAny(), daybook.Event{Type: kind}); err != nil {
			fmt.Println(err)
			return
		}
	}
	gone, err := store.DeleteStream(ctx, daybook.Deletion{
		Stream: user, Expect: daybook.ExpectVersion(3), Scrub: true, Who: "support", Why: "request 42",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(gone.Records, "records are gone, up to version", gone.Through)

	again, err := store.Append(ctx, user, daybook.ExpectNone(), daybook.Event{Type: "registered"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the stream goes on at version", again.Changesets[0].First)
	// Output:
	// 3 records are gone, up to version 3
	// the stream goes on at version 4
}
