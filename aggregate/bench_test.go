package aggregate_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"
)

// The benchmarks come in pairs: by hand on the Store, and by the library. The
// difference is what the library adds.

const benchEvents = 1000

func benchStore(b *testing.B) (*daybook.Store, daybook.StreamID) {
	b.Helper()
	store := daybook.New(memory.New(nil), nil)
	b.Cleanup(func() { _ = store.Close() })
	list := make([]daybook.Event, benchEvents)
	for i := range list {
		list[i] = daybook.Event{Type: "deposited", Data: []byte(`{"Amount":1}`)}
	}
	stream := daybook.Stream("account-ann")
	if _, err := store.Append(context.Background(), stream, daybook.ExpectNone(), list...); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return store, stream
}

// foldByHand reads an account without any package of this library above Store.
func foldByHand(ctx context.Context, store *daybook.Store, stream daybook.StreamID) (balance int, version daybook.Version, err error) {
	for record, err := range store.ReadStream(ctx, stream, daybook.StreamRead{Borrow: true}) {
		if err != nil {
			return 0, 0, err
		}
		switch record.Type {
		case "deposited":
			var e deposited
			if err := json.Unmarshal(record.Data, &e); err != nil {
				return 0, 0, err
			}
			balance += e.Amount
		case "withdrawn":
			var e withdrawn
			if err := json.Unmarshal(record.Data, &e); err != nil {
				return 0, 0, err
			}
			balance -= e.Amount
		}
		version = record.Version
	}
	return balance, version, nil
}

func perEvent(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
}

func BenchmarkLoadByHand(b *testing.B) {
	store, stream := benchStore(b)
	for b.Loop() {
		if balance, _, err := foldByHand(b.Context(), store, stream); err != nil || balance != benchEvents {
			b.Fatal(balance, err)
		}
	}
	perEvent(b)
}

func BenchmarkLoad(b *testing.B) {
	store, _ := benchStore(b)
	repository, err := aggregate.New(store, "account", events, decider, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if at, err := repository.Load(b.Context(), "ann"); err != nil || at.State.Balance != benchEvents {
			b.Fatal(at, err)
		}
	}
	perEvent(b)
}

// BenchmarkExecuteByHand appends to a short stream what was decided on a state
// that is at hand.
func BenchmarkExecuteByHand(b *testing.B) {
	store, stream := benchStore(b)
	balance, version, err := foldByHand(b.Context(), store, stream)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		data, err := json.Marshal(deposited{1})
		if err != nil {
			b.Fatal(err)
		}
		receipt, err := store.Append(b.Context(), stream, daybook.ExpectVersion(version), daybook.Event{Type: "deposited", Data: data})
		if err != nil {
			b.Fatal(err)
		}
		balance, version = balance+1, receipt.Changesets[0].Last
	}
}

func BenchmarkExecuteCached(b *testing.B) {
	store, _ := benchStore(b)
	repository, err := aggregate.New(store, "account", events, decider, &options{Cache: 10})
	if err != nil {
		b.Fatal(err)
	}
	one := deposit(1)
	for b.Loop() {
		if _, err := repository.Execute(b.Context(), "ann", one, nil); err != nil {
			b.Fatal(err)
		}
	}
}
