package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

// The examples keep a cupboard: things are put in and taken out.

type CupboardEvent interface{ cupboardEvent() }

type (
	Put   struct{ Things int }
	Taken struct{ Things int }
)

func (Put) cupboardEvent()   {}
func (Taken) cupboardEvent() {}

type Cupboard struct{ Things int }

// Take is the command of the examples; to put things in, take less than none.
type Take struct{ Things int }

var (
	cupboardEvents = codec.Must(codec.New[CupboardEvent](codec.Event[Put]("put"), codec.Event[Taken]("taken")))
	errEmpty       = errors.New("there are not so many")
)

var cupboard = aggregate.Decider[Cupboard, Take, CupboardEvent]{
	Decide: func(c Cupboard, take Take) ([]CupboardEvent, error) {
		switch {
		case take.Things == 0:
			return nil, nil
		case take.Things < 0:
			return []CupboardEvent{Put{-take.Things}}, nil
		case take.Things > c.Things:
			return nil, errEmpty
		}
		return []CupboardEvent{Taken(take)}, nil
	},
	Evolve: func(c Cupboard, event CupboardEvent) Cupboard {
		switch e := event.(type) {
		case Put:
			c.Things += e.Things
		case Taken:
			c.Things -= e.Things
		}
		return c
	},
}

type (
	cupboardOptions   = aggregate.Options[Cupboard, CupboardEvent]
	cupboardSnapshots = aggregate.Snapshots[Cupboard, CupboardEvent]
)

// open returns cupboards on a store in memory.
func open(options *cupboardOptions) (*aggregate.Repository[Cupboard, Take, CupboardEvent], *daybook.Store) {
	store := daybook.New(memory.New(nil), nil)
	cupboards, err := aggregate.New(store, "cupboard", cupboardEvents, cupboard, options)
	if err != nil {
		panic(err)
	}
	return cupboards, store
}

// A decider, a repository, a command.
func Example() {
	counters := aggregate.Decider[int, string, string]{
		Decide: func(count int, command string) ([]string, error) {
			if command == "down" && count == 0 {
				return nil, errors.New("it is zero already")
			}
			return []string{command}, nil
		},
		Evolve: func(count int, event string) int {
			if event == "up" {
				return count + 1
			}
			return count - 1
		},
	}
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	events := codec.Must(codec.New[string](codec.Event[string]("turned")))
	repository, err := aggregate.New(store, "counter", events, counters, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, command := range []string{"up", "up", "down", "down", "down"} {
		result, err := repository.Execute(ctx, "a", command, nil)
		fmt.Println(result.State, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 1 <nil>
	// 0 <nil>
	// 0 it is zero already
}

// What is put together wrongly is said at once.
func ExampleNew() {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, err := aggregate.New(store, "kitchen-cupboard", cupboardEvents, cupboard, nil)
	fmt.Println(err)
	// Output:
	// aggregate: streamType: must not be empty, nor hold a "-", which ends it (it is "kitchen-cupboard")
}

// A command with an id is carried out once, however often it is sent.
func ExampleRepository_Execute() {
	ctx := context.Background()
	cupboards, _ := open(nil)
	for range 2 {
		result, err := cupboards.Execute(ctx, "hall", Take{-3}, &aggregate.CommandOptions{
			ID: daybook.IDOf("delivery 17"), Context: daybook.Context{Who: "ann"},
		})
		fmt.Println(result.State.Things, result.Receipt.Repeated, err)
	}
	// Output:
	// 3 false <nil>
	// 3 true <nil>
}

// An aggregate that has no history yet is the initial one.
func ExampleRepository_Load() {
	ctx := context.Background()
	cupboards, _ := open(nil)
	before, _ := cupboards.Load(ctx, "hall")
	_, _ = cupboards.Execute(ctx, "hall", Take{-3}, nil)
	after, _ := cupboards.Load(ctx, "hall")
	fmt.Println(before.Exists(), before.State.Things)
	fmt.Println(after.Exists(), after.State.Things, after.Version)
	// Output:
	// false 0
	// true 3 1
}

// Whether anything ever happened to it.
func ExampleLoaded_Exists() {
	ctx := context.Background()
	cupboards, _ := open(nil)
	_, _ = cupboards.Execute(ctx, "hall", Take{-3}, nil)
	_, _ = cupboards.Execute(ctx, "hall", Take{3}, nil)
	hall, _ := cupboards.Load(ctx, "hall")
	attic, _ := cupboards.Load(ctx, "attic")
	fmt.Println(hall.State == attic.State, hall.Exists(), attic.Exists())
	// Output:
	// true true false
}

// How it stood at a version; AsOf.Time asks for a time.
func ExampleRepository_LoadAsOf() {
	ctx := context.Background()
	cupboards, _ := open(nil)
	for range 5 {
		_, _ = cupboards.Execute(ctx, "hall", Take{-10}, nil)
	}
	then, err := cupboards.LoadAsOf(ctx, "hall", aggregate.AsOf{Version: 2})
	fmt.Println(then.State.Things, err)
	// Output:
	// 20 <nil>
}

// Whoever decides elsewhere, and may be refused, loads and persists.
func ExampleRepository_Persist() {
	ctx := context.Background()
	cupboards, _ := open(nil)
	seen, _ := cupboards.Load(ctx, "hall")
	_, _ = cupboards.Execute(ctx, "hall", Take{-1}, nil)
	_, err := cupboards.Persist(ctx, seen, []CupboardEvent{Put{1}}, nil)
	fmt.Println(err)
	// Output:
	// stream "cupboard-hall": expected none, found version 1, changeset 1
}

// A tenant is a partition.
func ExampleRepository_In() {
	ctx := context.Background()
	cupboards, _ := open(nil)
	neighbour := cupboards.In("neighbour")
	_, _ = neighbour.Execute(ctx, "hall", Take{-8}, nil)
	ours, _ := cupboards.Load(ctx, "hall")
	theirs, _ := neighbour.Load(ctx, "hall")
	fmt.Println(ours.State.Things, theirs.State.Things, neighbour.Stream("hall"))
	// Output:
	// 0 8 neighbour/cupboard-hall
}

// An event elsewhere refers to an aggregate by its stream.
func ExampleRepository_Stream() {
	cupboards, _ := open(nil)
	fmt.Println(cupboards.Stream("hall"))
	// Output:
	// cupboard-hall
}

// Deleting takes the snapshots along.
func ExampleRepository_Delete() {
	ctx := context.Background()
	cupboards, _ := open(&cupboardOptions{Snapshots: &cupboardSnapshots{Name: "v1", Policy: aggregate.Every(1)}})
	defer cupboards.Close(ctx)
	_, _ = cupboards.Execute(ctx, "hall", Take{-3}, nil)
	gone, err := cupboards.Delete(ctx, "hall", daybook.Deletion{Scrub: true, Who: "ann", Why: "moved out"})
	left, _ := cupboards.Load(ctx, "hall")
	fmt.Println(gone.Records, err, left.State.Things)
	// Output:
	// 1 <nil> 0
}

// Close waits until the snapshots are written.
func ExampleRepository_Close() {
	ctx := context.Background()
	cupboards, store := open(&cupboardOptions{Snapshots: &cupboardSnapshots{Name: "v1", Policy: aggregate.Every(2)}})
	for range 5 {
		_, _ = cupboards.Execute(ctx, "hall", Take{-1}, nil)
	}
	fmt.Println(cupboards.Close(ctx))
	for record := range store.ReadStream(ctx, aggregate.SnapshotStream(cupboards.Stream("hall")), daybook.StreamRead{}) {
		fmt.Println(record.Context.Schema, string(record.Data))
	}
	// Output:
	// <nil>
	// v1 {"Things":2}
	// v1 {"Things":4}
}

// Two cupboards, one append.
func ExampleTransact() {
	ctx := context.Background()
	cupboards, store := open(nil)
	_, _ = cupboards.Execute(ctx, "hall", Take{-5}, nil)
	carry := func(n int) error {
		_, err := aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
			if _, err := cupboards.ExecuteIn(ctx, tx, "kitchen", Take{-n}); err != nil {
				return err
			}
			_, err := cupboards.ExecuteIn(ctx, tx, "hall", Take{n})
			return err
		}, nil)
		return err
	}
	fmt.Println(carry(4), carry(4))
	kitchen, _ := cupboards.Load(ctx, "kitchen")
	fmt.Println("in the kitchen:", kitchen.State.Things)
	// Output:
	// <nil> there are not so many
	// in the kitchen: 4
}

// A transaction sees what it has done so far.
func ExampleRepository_LoadIn() {
	ctx := context.Background()
	cupboards, store := open(nil)
	_, err := aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := cupboards.ExecuteIn(ctx, tx, "hall", Take{-5}); err != nil {
			return err
		}
		hall, err := cupboards.LoadIn(ctx, tx, "hall")
		fmt.Println(hall.State.Things, "not stored yet:", !hall.Exists())
		return err
	}, nil)
	fmt.Println(err)
	// Output:
	// 5 not stored yet: true
	// <nil>
}

// ExecuteIn returns the aggregate with the events of the command.
func ExampleRepository_ExecuteIn() {
	ctx := context.Background()
	cupboards, store := open(nil)
	_, _ = aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
		for range 3 {
			hall, err := cupboards.ExecuteIn(ctx, tx, "hall", Take{-1})
			if err != nil {
				return err
			}
			fmt.Print(hall.State.Things, " ")
		}
		return nil
	}, nil)
	// Output:
	// 1 2 3
}

// A snapshot whenever an append reaches or passes a multiple of 100.
func ExampleEvery() {
	policy := aggregate.Every(100)
	fmt.Println(policy(aggregate.Due{Before: 98, After: 99}), policy(aggregate.Due{Before: 99, After: 100}), policy(aggregate.Due{Before: 90, After: 310}))
	// Output:
	// false true true
}

// A snapshot a day, for aggregates that change.
func ExampleEveryPeriod() {
	policy := aggregate.EveryPeriod(24 * time.Hour)
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fmt.Println(policy(aggregate.Due{Since: since, Now: since.Add(23 * time.Hour)}), policy(aggregate.Due{Since: since, Now: since.Add(25 * time.Hour)}))
	// Output:
	// false true
}

// Whichever comes first.
func ExampleAnyOf() {
	policy := aggregate.AnyOf(aggregate.Every(100), aggregate.EveryPeriod(24*time.Hour))
	now := time.Now()
	fmt.Println(policy(aggregate.Due{Before: 99, After: 100, Since: now, Now: now}))
	// Output:
	// true
}

// StreamSnapshots is what snapshots go to by default; here to another store.
func ExampleStreamSnapshots() {
	ctx := context.Background()
	elsewhere := daybook.New(memory.New(nil), nil)
	defer elsewhere.Close()
	cupboards, store := open(&cupboardOptions{Snapshots: &cupboardSnapshots{
		Name: "v1", Policy: aggregate.Every(1), Store: aggregate.StreamSnapshots(elsewhere),
	}})
	_, _ = cupboards.Execute(ctx, "hall", Take{-1}, nil)
	_ = cupboards.Close(ctx)
	here, _ := store.Stats(ctx)
	there, _ := elsewhere.Stats(ctx)
	fmt.Println(here.Records, there.Records)
	// Output:
	// 1 1
}

// SnapshotStream says where the snapshots of a stream are.
func ExampleSnapshotStream() {
	fmt.Println(aggregate.SnapshotStream(daybook.Stream("cupboard-hall")))
	// Output:
	// $snapshot-cupboard-hall
}
