package livestate_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/livestate"
)

// The name of a fold is that of its snapshots.
func ExampleFold_Name() {
	fmt.Println(newVisitors().Name())
	// Output:
	// visitors-1
}

// A program begins to answer when its states include all that stood.
func ExampleService_Ready() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	event, _ := visits.Encode(Visited{"Ann"})
	_, _ = store.Append(ctx, guestbook, daybook.ExpectAny(), event)
	service, err := livestate.Start(store, livestate.OfStream(guestbook), visits, []livestate.Folder[Visited]{visitors}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()
	if err := service.Ready(ctx); err != nil {
		fmt.Println(err, service.Progress().Err)
		return
	}
	state, err := service.Local()
	fmt.Println(visitors.Of(state).Count, err)
	// Output:
	// 1 <nil>
}

// A health check of a host asks without waiting.
func ExampleService_IsReady() {
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	status := 503
	if service.IsReady() {
		status = 200
	}
	fmt.Println(status)
	// Output:
	// 200
}

// The last state stays readable, and nothing is appended any more.
func ExampleService_Close() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	_, _ = service.Add(ctx, nil, Visited{"Ann"})
	service.Close()
	state, err := service.Local()
	fmt.Println(visitors.Of(state).Count, err)
	_, err = service.Add(ctx, nil, Visited{"Bob"})
	fmt.Println(errors.Is(err, livestate.ErrClosed))
	// Output:
	// 1 <nil>
	// true
}

// A reply may tell its reader how new it is.
func ExampleState_Version() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	done, _ := service.Add(ctx, nil, Visited{"Ann"}, Visited{"Bob"})
	fmt.Printf("ETag: \"%d\"\n", done.State.Version())
	// Output:
	// ETag: "2"
}

// Positions are those of the whole log, so that states of different sources
// can be compared.
func ExampleState_Position() {
	ctx := context.Background()
	store, visitors := openStore(), newVisitors()
	defer store.Close()
	service := begin(store, visitors, nil)
	defer service.Close()
	before, _ := service.Local()
	done, _ := service.Add(ctx, nil, Visited{"Ann"})
	fmt.Println(before.Position(), done.State.Position(), done.Receipt.Position())
	// Output:
	// 0 1 1
}
