package aggregate_test

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
)

// A transaction that looks at one shelf and changes another. What it has only
// looked at may change meanwhile: see Transact.
func ExampleObjects_LoadIn() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	_, _ = shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(3); return nil }, nil)
	_, err := aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
		model, err := shelves.LoadIn(ctx, tx, "1")
		if err != nil {
			return err
		}
		_, err = shelves.UpdateIn(ctx, tx, "2", func(s *Shelf) error { s.Put(model.Things); return nil })
		return err
	}, nil)
	second, _ := shelves.Load(ctx, "2")
	fmt.Println(second.Things, err)
	// Output:
	// 3 <nil>
}

// Whoever follows the log has seen the object as it is here when it has passed
// its position.
func ExampleRoot_Position() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	shelf, _ := shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(2); return nil }, nil)
	for record, err := range store.ReadLog(ctx, daybook.LogRead{To: shelf.Position()}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record.Stream, string(record.Data))
	}
	// Output:
	// shelf-1 {"Things":2}
}
