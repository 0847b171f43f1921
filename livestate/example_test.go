package livestate_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
)

// The examples number visitors: an event is a name.

type Visited struct{ Name string }

var (
	visits    = codec.Must(codec.New[Visited](codec.Event[Visited]("visited")))
	guestbook = daybook.Stream("guestbook-1")
)

// newVisitors is a fold that counts, and remembers the last.
func newVisitors() *livestate.Fold[Visitors, Visited] {
	return livestate.NewFold("visitors-1", func() Visitors { return Visitors{} }, func(v Visitors, e Visited) Visitors {
		if e.Name == "" {
			panic("a visitor has a name")
		}
		return Visitors{Count: v.Count + 1, Last: e.Name}
	}, nil)
}

type Visitors struct {
	Count int
	Last  string
}

// begin starts a service and waits until it is ready.
func begin(store *daybook.Store, visitors *livestate.Fold[Visitors, Visited], options *livestate.Options[Visited]) *livestate.Service[Visited] {
	service, err := livestate.Start(store, livestate.OfStream(guestbook), visits, []livestate.Folder[Visited]{visitors}, options)
	if err == nil {
		err = service.Ready(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return service
}

func openStore() *daybook.Store { return daybook.New(memory.New(nil), nil) }

// A fold, a service, an append that is decided on the state.
func Example() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()

	for _, name := range []string{"Ann", "Bob", "Bob"} {
		done, err := livestate.Append(ctx, service, func(state *livestate.State) ([]Visited, int, error) {
			now := visitors.Of(state)
			if now.Last == name {
				return nil, now.Count, nil // still the same visit
			}
			return []Visited{{Name: name}}, now.Count + 1, nil
		}, nil)
		fmt.Println(name, "is visitor", done.Result, err)
	}
	// Output:
	// Ann is visitor 1 <nil>
	// Bob is visitor 2 <nil>
	// Bob is visitor 2 <nil>
}

// Start follows in the background; Ready waits for what stood already.
func ExampleStart() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service, err := livestate.Start(store, livestate.OfStream(guestbook), visits, []livestate.Folder[Visited]{visitors}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()
	fmt.Println(service.Ready(ctx), service.Progress().Ready)
	// Output:
	// <nil> true
}

// The name of a fold is its version.
func ExampleNewFold() {
	longest := livestate.NewFold("longest-2", func() string { return "" }, func(longest string, e Visited) string {
		if len(e.Name) > len(longest) {
			return e.Name
		}
		return longest
	}, nil)
	fmt.Println(longest.Name())
	// Output:
	// longest-2
}

// Several folds of one service stand at the same place in every state.
func ExampleFold_Of() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	names := livestate.NewFold("names-1", func() []string { return nil }, func(names []string, e Visited) []string {
		return append(names[:len(names):len(names)], e.Name) // a slice of its own, since others read the old one
	}, nil)
	service, err := livestate.Start(store, livestate.OfStream(guestbook), visits, []livestate.Folder[Visited]{visitors, names}, nil)
	if err != nil || service.Ready(ctx) != nil {
		return
	}
	defer service.Close()
	done, _ := service.Add(ctx, nil, Visited{"Ann"}, Visited{"Bob"})
	fmt.Println(visitors.Of(done.State).Count, names.Of(done.State))
	// Output:
	// 2 [Ann Bob]
}

// OfStream follows one stream.
func ExampleOfStream() {
	fmt.Println(livestate.OfStream(guestbook))
	// Output:
	// stream "guestbook-1"
}

// OfLog follows what a query selects; appends say which stream they are for, and
// hold against everything else that the query selects.
func ExampleOfLog() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	source := livestate.OfLog(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: visits.Names()}}}})
	service, err := livestate.Start(store, source, visits, []livestate.Folder[Visited]{visitors}, &livestate.Options[Visited]{
		StreamOf: func(e Visited) daybook.StreamID { return daybook.Stream("visitor-" + e.Name) },
	})
	if err != nil || service.Ready(ctx) != nil {
		return
	}
	defer service.Close()
	done, err := service.Add(ctx, nil, Visited{"Ann"})
	fmt.Println(done.Receipt.Changesets[0].Stream, err)
	// Output:
	// visitor-Ann <nil>
}

// Local is here already, Current includes all that stands in the store.
func ExampleService_Current() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	before, _ := service.Local()
	event, _ := visits.Encode(Visited{"Ann"})
	_, _ = store.Append(ctx, guestbook, daybook.ExpectAny(), event) // another program
	after, err := service.Current(ctx)
	fmt.Println(visitors.Of(before).Count, visitors.Of(after).Count, err)
	// Output:
	// 0 1 <nil>
}

// What a fold cannot take is not stored.
func ExampleService_Add() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	_, err := service.Add(ctx, nil, Visited{"Ann"}, Visited{""})
	head, _ := store.Head(ctx, guestbook)
	fmt.Println(err)
	fmt.Println("stored:", head.Version)
	// Output:
	// fold "visitors-1" cannot take the event livestate_test.Visited: a visitor has a name
	// stored: 0
}

// An append in steps. What else is to happen waits for the end.
func ExampleService_Transact() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	_, err := service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		tx.OnCommit(func(events []Visited) { fmt.Println("greet", len(events), "visitors") })
		tx.OnAbort(func() { fmt.Println("nobody to greet") })
		for _, name := range []string{"Ann", "Bob"} {
			if err := tx.Add(Visited{name}); err != nil {
				return err
			}
			fmt.Println("visitor", visitors.Of(tx.State()).Count)
		}
		return nil
	}, nil)
	fmt.Println(err)
	_, err = service.Transact(ctx, func(tx *livestate.Transaction[Visited]) error {
		tx.OnAbort(func() { fmt.Println("nobody to greet") })
		return errors.New("closed today")
	}, nil)
	fmt.Println(err)
	// Output:
	// visitor 1
	// visitor 2
	// greet 2 visitors
	// <nil>
	// nobody to greet
	// closed today
}

// Snapshots in files save reading at the next start.
func ExampleFiles() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "visitors-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	options := &livestate.Options[Visited]{Snapshots: livestate.Files(dir, 3)}
	first := begin(store, visitors, options)
	_, _ = first.Add(ctx, nil, Visited{"Ann"}, Visited{"Bob"})
	fmt.Println(first.Save(ctx))
	first.Close()

	second := begin(store, visitors, options)
	defer second.Close()
	state, _ := second.Local()
	fmt.Println(visitors.Of(state).Count, "visitors,", second.Progress().Records, "records read")
	// Output:
	// <nil>
	// 2 visitors, 0 records read
}

// Memory keeps snapshots while the program runs.
func ExampleMemory() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	snapshots := livestate.Memory(1)
	service := begin(store, visitors, &livestate.Options[Visited]{Snapshots: snapshots})
	defer service.Close()
	_, _ = service.Add(ctx, nil, Visited{"Ann"})
	_ = service.Save(ctx)
	for snapshot := range snapshots.Load(ctx, "visitors-1") {
		fmt.Println(snapshot.Version, string(snapshot.Data))
	}
	// Output:
	// 1 {"Count":1,"Last":"Ann"}
}

// A record that breaks a fold is put aside, and the rest goes on.
func ExampleService_Quarantine() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	for _, data := range []string{`{"Name":"Ann"}`, `{"Name":""}`, `{"Name":"Bob"}`} {
		_, _ = store.Append(ctx, guestbook, daybook.ExpectAny(), daybook.Event{Type: "visited", Data: []byte(data)})
	}
	service := begin(store, visitors, nil)
	defer service.Close()
	state, _ := service.Local()
	list, count := service.Quarantine()
	fmt.Println(visitors.Of(state).Count, "counted,", count, "aside: version", list[0].Version)
	// Output:
	// 2 counted, 1 aside: version 2
}

// A builder is asked again when somebody else was quicker: here another program
// writes in between.
func ExampleAppend() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	asked := 0
	done, err := livestate.Append(ctx, service, func(state *livestate.State) ([]Visited, string, error) {
		if asked++; asked == 1 {
			event, _ := visits.Encode(Visited{"Eve"})
			_, _ = store.Append(ctx, guestbook, daybook.ExpectAny(), event)
		}
		return []Visited{{"Ann"}}, fmt.Sprint("behind ", visitors.Of(state).Count), nil
	}, nil)
	fmt.Println(done.Result, done.Tries, err)
	// Output:
	// behind 1 2 <nil>
}

// Local is a pointer that is read.
func ExampleService_Local() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	_, _ = service.Add(ctx, nil, Visited{"Ann"})
	state, err := service.Local()
	fmt.Println(visitors.Of(state).Last, err)
	// Output:
	// Ann <nil>
}

// Progress tells how far a service is: for the page that a host shows meanwhile.
func ExampleService_Progress() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	event, _ := visits.Encode(Visited{"Ann"})
	_, _ = store.Append(ctx, guestbook, daybook.ExpectAny(), event, event, event)
	service := begin(store, visitors, nil)
	defer service.Close()
	p := service.Progress()
	fmt.Println(p.Ready, p.Position, "of", p.End, "records:", p.Records)
	// Output:
	// true 3 of 3 records: 3
}

// Save writes a snapshot of every fold.
func ExampleService_Save() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	fmt.Println(service.Save(ctx))
	// Output:
	// livestate: options.Snapshots: must be set to save
}
