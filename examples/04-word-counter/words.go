package main

import (
	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
)

// What happens to the words that are counted together.
type (
	Event interface{ wordEvent() }
	// Updated says how often a word counts from now on. It is an answer to what
	// the count was, so it is only true if nobody else has changed that.
	Updated struct {
		Word  string
		Count int
	}
	// Deleted says that a word does not count any more.
	Deleted struct{ Word string }
)

func (Updated) wordEvent() {}
func (Deleted) wordEvent() {}

var events = codec.Must(codec.New[Event](codec.Event[Updated]("word-updated"), codec.Event[Deleted]("word-deleted")))

// stream is where the words are, for all programs.
var stream = daybook.Stream("words")

// Counts is how often each word counts. It is copied for each append, so that
// who reads it needs no lock.
type Counts map[string]int

func newFold() *livestate.Fold[Counts, Event] {
	return livestate.NewFold("counts-1", func() Counts { return Counts{} }, evolve, &livestate.FoldOptions[Counts]{Clone: clone})
}

func evolve(counts Counts, event Event) Counts {
	switch e := event.(type) {
	case Updated:
		counts[e.Word] = e.Count
	case Deleted:
		delete(counts, e.Word)
	}
	return counts
}

func clone(counts Counts) Counts {
	own := make(Counts, len(counts)+1)
	for word, n := range counts {
		own[word] = n
	}
	return own
}
