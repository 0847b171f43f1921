//go:build unix

package livestate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
)

// The benchmarks come in pairs: by hand on the Store, and by the library. The
// difference is what the library adds. They report processor time, which other
// programs on the machine do not change as they do the clock's.

// processor returns the processor time that the process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// measure runs a benchmark and reports the processor time of one of the events
// that each round handles.
func measure(b *testing.B, events int, round func()) {
	b.Helper()
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/float64(b.N)/float64(events), "cpu-ns/event")
}

// BenchmarkAppend appends what was decided on a state that is at hand.
func BenchmarkAppend(b *testing.B) {
	b.Run("by hand", func(b *testing.B) {
		store := daybook.New(memory.New(nil), nil)
		defer store.Close()
		length, version := 0, daybook.Version(0)
		measure(b, 1, func() {
			word := added{Word: "word"}
			data, err := json.Marshal(word)
			if err != nil {
				b.Fatal(err)
			}
			receipt, err := store.Append(b.Context(), text, daybook.ExpectVersion(version), daybook.Event{Type: "added", Data: data, Tags: word.Tags()})
			if err != nil {
				b.Fatal(err)
			}
			length, version = addLength(length, word), receipt.Changesets[0].Last
		})
	})
	b.Run("library", func(b *testing.B) {
		store := daybook.New(memory.New(nil), nil)
		defer store.Close()
		length := livestate.NewFold("length-1", func() int { return 0 }, addLength, nil)
		s := ready(b, store, []livestate.Folder[event]{length}, nil)
		defer s.Close()
		measure(b, 1, func() {
			_, err := livestate.Append(b.Context(), s, func(*livestate.State) ([]event, int, error) { return []event{added{Word: "word"}}, 0, nil }, nil)
			if err != nil {
				b.Fatal(err)
			}
		})
	})
}

func ready(b *testing.B, store *daybook.Store, folds []livestate.Folder[event], o *options) *service {
	b.Helper()
	s, err := livestate.Start(store, livestate.OfStream(text), benchCodec, folds, o)
	if err == nil {
		err = s.Ready(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

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

var benchCodec = codec.Must(codec.New[event](codec.Event[added]("added"), codec.Event[ordered]("ordered")))

// BenchmarkCatchUp folds a stream of 20,000 events of 256 bytes.
func BenchmarkCatchUp(b *testing.B) {
	const events = 20_000
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	one, err := benchCodec.Encode(ordered{
		Order: "o-1", Customer: "c-77", At: time.Unix(1_777_629_600, 0).UTC(), Total: 14_985, Note: strings.Repeat("x", 57),
		Lines: []orderLine{{"p-1", 2, 995}, {"p-2", 1, 12_995}},
	})
	if err != nil {
		b.Fatal(err)
	}
	list := make([]daybook.Event, 1000)
	for i := range list {
		list[i] = one
	}
	for range events / len(list) {
		if _, err := store.Append(b.Context(), text, daybook.ExpectAny(), list...); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("decoder alone", func(b *testing.B) {
		measure(b, events, func() {
			for range events {
				var e ordered
				if err := json.Unmarshal(one.Data, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	for _, decoders := range []int{1, 2} {
		b.Run(fmt.Sprintf("library, %d decoders", decoders), func(b *testing.B) {
			total := livestate.NewFold("total-1", func() int { return 0 }, func(n int, e event) int { return n + e.(ordered).Total }, nil)
			measure(b, events, func() {
				s := ready(b, store, []livestate.Folder[event]{total}, &options{Decoders: decoders})
				if state, err := s.Local(); err != nil || total.Of(state) != events*14_985 {
					b.Fatal(err)
				}
				s.Close()
			})
		})
	}
}

// BenchmarkLocal reads the state that is here.
func BenchmarkLocal(b *testing.B) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	length := livestate.NewFold("length-1", func() int { return 0 }, addLength, nil)
	s := ready(b, store, []livestate.Folder[event]{length}, nil)
	defer s.Close()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if state, err := s.Local(); err != nil || length.Of(state) != 0 {
				b.Error(err)
			}
		}
	})
}
