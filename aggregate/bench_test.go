//go:build unix

package aggregate_test

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

// The benchmarks come in pairs: by hand on the Store, and by the library. The
// difference is what the library adds. They report processor time, which other
// programs on the machine do not change as they do the clock's.

const benchEvents = 1000

// ordered is an event of 256 bytes.
type ordered struct {
	Order    string
	Customer string
	At       time.Time
	Lines    []orderLine
	Total    int
	Note     string
}

type orderLine struct {
	Product         string
	Quantity, Price int
}

func (ordered) event() {}

var anOrder = ordered{
	Order: "o-1", Customer: "c-77", At: time.Unix(1_777_629_600, 0).UTC(), Total: 14_985, Note: strings.Repeat("x", 57),
	Lines: []orderLine{{"p-1", 2, 995}, {"p-2", 1, 12_995}},
}

var benchCodec = codec.Must(codec.New[event](codec.Event[deposited]("deposited"), codec.Event[ordered]("ordered")))

// sizes are the events that are measured, and what they come to.
var sizes = map[string]event{"tiny": deposited{1}, "256 bytes": anOrder}

type tally struct{ Sum int }

func addUp(t tally, e event) tally {
	switch e := e.(type) {
	case deposited:
		t.Sum += e.Amount
	case ordered:
		t.Sum += e.Total
	}
	return t
}

type tallies = aggregate.Repository[tally, event, event]

func newTallies(b *testing.B, store *daybook.Store, with *aggregate.Options[tally, event]) *tallies {
	b.Helper()
	r, err := aggregate.New(store, "account", benchCodec, aggregate.Decider[tally, event, event]{
		Decide: func(_ tally, e event) ([]event, error) { return []event{e}, nil },
		Evolve: addUp,
	}, with)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// benchStore returns a store with one stream of so many events.
func benchStore(b *testing.B, e event, n int) (*daybook.Store, daybook.StreamID) {
	b.Helper()
	store := daybook.New(memory.New(nil), nil)
	b.Cleanup(func() { _ = store.Close() })
	one, err := benchCodec.Encode(e)
	if err != nil {
		b.Fatal(err)
	}
	list := make([]daybook.Event, n)
	for i := range list {
		list[i] = one
	}
	stream := daybook.Stream("account-ann")
	if _, err := store.Append(context.Background(), stream, daybook.ExpectNone(), list...); err != nil {
		b.Fatal(err)
	}
	return store, stream
}

// measure runs a benchmark and reports the processor time of one of the things
// that each round does.
func measure(b *testing.B, things int, round func()) {
	b.Helper()
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/float64(b.N)/float64(things), "cpu-ns/event")
}

// processor returns the processor time that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// decodeByHand is a program without a codec.
func decodeByHand(t tally, eventType string, data []byte) (tally, error) {
	switch eventType {
	case "deposited":
		var e deposited
		err := json.Unmarshal(data, &e)
		t.Sum += e.Amount
		return t, err
	case "ordered":
		var e ordered
		err := json.Unmarshal(data, &e)
		t.Sum += e.Total
		return t, err
	}
	return t, nil
}

// BenchmarkLoad folds a stream of a thousand events: first what decoding them
// takes without any store, then by hand on the store, then by the library.
func BenchmarkLoad(b *testing.B) {
	for name, e := range sizes {
		store, stream := benchStore(b, e, benchEvents)
		want := addUp(tally{}, e).Sum * benchEvents
		one, err := benchCodec.Encode(e)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/decoder alone", func(b *testing.B) {
			measure(b, benchEvents, func() {
				var t tally
				for range benchEvents {
					if t, err = decodeByHand(t, one.Type, one.Data); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(name+"/by hand", func(b *testing.B) {
			measure(b, benchEvents, func() {
				var t tally
				for record, err := range store.ReadStream(b.Context(), stream, daybook.StreamRead{Borrow: true}) {
					if err == nil {
						t, err = decodeByHand(t, record.Type, record.Data)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if t.Sum != want {
					b.Fatal(t)
				}
			})
		})
		b.Run(name+"/library", func(b *testing.B) {
			r := newTallies(b, store, nil)
			measure(b, benchEvents, func() {
				if at, err := r.Load(b.Context(), "ann"); err != nil || at.State.Sum != want {
					b.Fatal(at, err)
				}
			})
		})
	}
}

// BenchmarkExecute appends what was decided on a state that is at hand.
func BenchmarkExecute(b *testing.B) {
	for name, e := range sizes {
		b.Run(name+"/by hand", func(b *testing.B) {
			store, stream := benchStore(b, e, 1)
			state, version := addUp(tally{}, e), daybook.Version(1)
			measure(b, 1, func() {
				data, err := json.Marshal(e)
				if err != nil {
					b.Fatal(err)
				}
				receipt, err := store.Append(b.Context(), stream, daybook.ExpectVersion(version), daybook.Event{Type: name, Data: data})
				if err != nil {
					b.Fatal(err)
				}
				state, version = addUp(state, e), receipt.Changesets[0].Last
			})
		})
		b.Run(name+"/library", func(b *testing.B) {
			store, _ := benchStore(b, e, 1)
			r := newTallies(b, store, &aggregate.Options[tally, event]{Cache: 10})
			measure(b, 1, func() {
				if _, err := r.Execute(b.Context(), "ann", e, nil); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkTransact appends to two streams at once.
func BenchmarkTransact(b *testing.B) {
	b.Run("by hand", func(b *testing.B) {
		store, ann := benchStore(b, deposited{1}, 1)
		bob := daybook.Stream("account-bob")
		var versions [2]daybook.Version
		versions[0] = 1
		measure(b, 2, func() {
			data, err := json.Marshal(deposited{1})
			if err != nil {
				b.Fatal(err)
			}
			one := []daybook.Event{{Type: "deposited", Data: data}}
			receipt, err := store.AppendAll(b.Context(), daybook.Append{Changesets: []daybook.Changeset{
				{Stream: ann, Expect: daybook.ExpectVersion(versions[0]), Events: one}, {Stream: bob, Expect: daybook.ExpectVersion(versions[1]), Events: one},
			}})
			if err != nil {
				b.Fatal(err)
			}
			versions[0], versions[1] = receipt.Changesets[0].Last, receipt.Changesets[1].Last
		})
	})
	b.Run("library", func(b *testing.B) {
		store, _ := benchStore(b, deposited{1}, 1)
		r := newTallies(b, store, &aggregate.Options[tally, event]{Cache: 10})
		measure(b, 2, func() {
			_, err := aggregate.Transact(b.Context(), store, func(ctx context.Context, tx *aggregate.Transaction) error {
				if _, err := r.ExecuteIn(ctx, tx, "ann", deposited{1}); err != nil {
					return err
				}
				_, err := r.ExecuteIn(ctx, tx, "bob", deposited{1})
				return err
			}, nil)
			if err != nil {
				b.Fatal(err)
			}
		})
	})
}
