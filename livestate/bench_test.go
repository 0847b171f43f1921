package livestate_test

import (
	"encoding/json"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
)

// The benchmarks come in pairs: by hand on the Store, and by the library.

func BenchmarkAppendByHand(b *testing.B) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	b.ReportAllocs()
	length, version := 0, daybook.Version(0)
	for b.Loop() {
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
	}
}

func BenchmarkAppend(b *testing.B) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	length := livestate.NewFold("length-1", func() int { return 0 }, addLength, nil)
	s, err := livestate.Start(store, livestate.OfStream(text), events, []livestate.Folder[event]{length}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := livestate.Append(b.Context(), s, func(*livestate.State) ([]event, int, error) { return []event{added{Word: "word"}}, 0, nil }, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
}
