package aggregate_test

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"
)

// Shelf is a cupboard in the style of objects.
type Shelf struct {
	aggregate.Root[CupboardEvent]
	Things int
}

func (s *Shelf) Apply(event CupboardEvent) {
	switch e := event.(type) {
	case Put:
		s.Things += e.Things
	case Taken:
		s.Things -= e.Things
	}
}

func (s *Shelf) Put(n int) { s.Emit(Put{n}) }

func (s *Shelf) Take(n int) error {
	if n > s.Things {
		return errEmpty
	}
	s.Emit(Taken{n})
	return nil
}

// openShelves returns shelves on a store in memory.
func openShelves() (*aggregate.Objects[*Shelf, CupboardEvent], *daybook.Store) {
	store := daybook.New(memory.New(nil), nil)
	shelves, err := aggregate.NewObjects(store, "shelf", cupboardEvents, func() *Shelf { return &Shelf{} }, nil)
	if err != nil {
		panic(err)
	}
	return shelves, store
}

// Objects change themselves by the events that they emit.
func ExampleNewObjects() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	shelves, err := aggregate.NewObjects(store, "shelf", cupboardEvents, func() *Shelf { return &Shelf{} }, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	shelf, err := shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(2); s.Put(3); return nil }, nil)
	fmt.Println(shelf.Things, shelf.Version(), err)
	// Output:
	// 5 2 <nil>
}

// Load, work on the object, persist.
func ExampleObjects_Persist() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	shelf, _ := shelves.Load(ctx, "1")
	shelf.Put(2)
	receipt, err := shelves.Persist(ctx, shelf, nil)
	fmt.Println(receipt.Position(), err, len(shelf.Pending()))
	// Output:
	// 1 <nil> 0
}

// Load, work and persist in one call, again where somebody else was quicker.
// After an error nothing is stored.
func ExampleObjects_Update() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	_, err := shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(2); return s.Take(3) }, nil)
	shelf, _ := shelves.Load(ctx, "1")
	fmt.Println(err, shelf.Things)
	// Output:
	// there are not so many 0
}

// Two objects, one append.
func ExampleObjects_UpdateIn() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	_, _ = shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(5); return nil }, nil)
	_, err := aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := shelves.UpdateIn(ctx, tx, "1", func(s *Shelf) error { return s.Take(2) }); err != nil {
			return err
		}
		_, err := shelves.UpdateIn(ctx, tx, "2", func(s *Shelf) error { s.Put(2); return nil })
		return err
	}, nil)
	one, _ := shelves.Load(ctx, "1")
	two, _ := shelves.Load(ctx, "2")
	fmt.Println(one.Things, two.Things, err)
	// Output:
	// 3 2 <nil>
}

// How an object stood at a version.
func ExampleObjects_LoadAsOf() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	_, _ = shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(5); s.Put(1); return nil }, nil)
	then, err := shelves.LoadAsOf(ctx, "1", aggregate.AsOf{Version: 1})
	fmt.Println(then.Things, err)
	// Output:
	// 5 <nil>
}

// An object is tested without a store.
func ExampleBegin() {
	shelf := aggregate.Begin(&Shelf{})
	shelf.Put(2)
	fmt.Println(shelf.Things, shelf.Pending())
	// Output:
	// 2 [{2}]
}

// A tenant is a partition.
func ExampleObjects_In() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	_, _ = shelves.In("neighbour").Update(ctx, "1", func(s *Shelf) error { s.Put(8); return nil }, nil)
	ours, _ := shelves.Load(ctx, "1")
	theirs, _ := shelves.In("neighbour").Load(ctx, "1")
	fmt.Println(ours.Things, theirs.Things)
	// Output:
	// 0 8
}

// An event elsewhere refers to an object by its stream.
func ExampleObjects_Stream() {
	shelves, store := openShelves()
	defer store.Close()
	fmt.Println(shelves.Stream("1"))
	// Output:
	// shelf-1
}

// An object that has no history yet is a new one, on which to work as on any
// other.
func ExampleObjects_Load() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	before, err := shelves.Load(ctx, "1")
	fmt.Println(before.Things, before.Version(), err)
	before.Put(2)
	_, _ = shelves.Persist(ctx, before, nil)
	after, err := shelves.Load(ctx, "1")
	fmt.Println(after.Things, after.Version(), err)
	// Output:
	// 0 0 <nil>
	// 2 1 <nil>
}

// The events go, and that they did stays on record.
func ExampleObjects_Delete() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	_, _ = shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(2); s.Put(3); return nil }, nil)
	gone, err := shelves.Delete(ctx, "1", daybook.Deletion{Who: "ann", Why: "moved out"})
	left, _ := shelves.Load(ctx, "1")
	fmt.Println(gone.Records, err, left.Things)
	// Output:
	// 2 <nil> 0
}

// Close waits until the snapshots are written.
func ExampleObjects_Close() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	shelves, err := aggregate.NewObjects(store, "shelf", cupboardEvents, func() *Shelf { return &Shelf{} }, &aggregate.Options[*Shelf, CupboardEvent]{
		Snapshots: &aggregate.Snapshots[*Shelf, CupboardEvent]{Name: "v1", Policy: aggregate.Every(1)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = shelves.Update(ctx, "1", func(s *Shelf) error { s.Put(2); return nil }, nil)
	fmt.Println(shelves.Close(ctx))
	head, _ := store.Head(ctx, aggregate.SnapshotStream(shelves.Stream("1")))
	fmt.Println("snapshots:", head.Version)
	// Output:
	// <nil>
	// snapshots: 1
}

// Emitting applies the event, so that what follows decides on it.
func ExampleRoot_Emit() {
	shelf := aggregate.Begin(&Shelf{})
	shelf.Emit(Put{2})
	shelf.Emit(Put{3})
	fmt.Println(shelf.Things)
	// Output:
	// 5
}

// Pending tells what Persist would store.
func ExampleRoot_Pending() {
	shelf := aggregate.Begin(&Shelf{})
	shelf.Put(2)
	_ = shelf.Take(7) // refused, so that nothing is emitted
	_ = shelf.Take(1)
	fmt.Printf("%+v\n", shelf.Pending())
	// Output:
	// [{Things:2} {Things:1}]
}

// A loaded object knows where it comes from.
func ExampleRoot_Stream() {
	shelves, store := openShelves()
	defer store.Close()
	shelf, _ := shelves.Load(context.Background(), "1")
	fmt.Println(shelf.Stream(), aggregate.Begin(&Shelf{}).Stream() == daybook.StreamID{})
	// Output:
	// shelf-1 true
}

// The version counts what is stored, not what is pending.
func ExampleRoot_Version() {
	ctx := context.Background()
	shelves, store := openShelves()
	defer store.Close()
	shelf, _ := shelves.Load(ctx, "1")
	shelf.Put(2)
	before := shelf.Version()
	_, _ = shelves.Persist(ctx, shelf, nil)
	fmt.Println(before, shelf.Version())
	// Output:
	// 0 1
}
