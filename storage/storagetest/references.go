package storagetest

import (
	"errors"

	"github.com/daybook-go/daybook"
)

var referencePromises = []Promise{
	{
		Name: "a reference to a stream with records holds", Feature: References, check: checkReferenceHolds,
		Sentence: "An append that refers to a stream that exists is refused.",
	},
	{
		Name: "a reference to a stream without records is refused and named", Feature: References, check: checkReferenceMissing,
		Sentence: "An append that refers to nothing was stored, or its caller is not told what is missing.",
	},
	{
		Name: "a stream that the same append creates counts", Feature: References, check: checkReferenceCreated,
		Sentence: "Two streams that refer to each other can never be created.",
	},
}

// referring returns an append by which a stream refers to others.
func referring(id daybook.StreamID, references ...daybook.StreamID) daybook.Append {
	return together(daybook.Changeset{Stream: id, Events: events("referred"), References: references})
}

func checkReferenceHolds(s *subject) {
	b := s.book()
	north := daybook.StreamID{Partition: "north", Name: "owner-1"}
	b.append("owner-1", daybook.ExpectNone(), events("registered")...)
	b.appendAll(together(daybook.Changeset{Stream: north, Events: events("registered")}))
	for i, references := range [][]daybook.StreamID{
		{daybook.Stream("owner-1")}, {north}, {north, daybook.Stream("owner-1")}, {daybook.Stream("owner-1"), daybook.Stream("owner-1")},
	} {
		id := daybook.Stream(numbered("account", i))
		if _, err := b.AppendAll(s.Context(), referring(id, references...)); err != nil {
			s.Errorf("stream %q refers to %q, which exist: %v", id, references, err)
		}
	}
}

func checkReferenceMissing(s *subject) {
	b := s.book()
	b.append("owner-1", daybook.ExpectNone(), events("registered")...)
	for _, missing := range []daybook.StreamID{
		daybook.Stream("owner-2"), daybook.Stream("Owner-1"), daybook.Stream("owner"), {Partition: "north", Name: "owner-1"},
	} {
		err := b.refusedWhole(referring(daybook.Stream("account-1"), daybook.Stream("owner-1"), missing), "a reference to a missing stream")
		var refused *daybook.ReferenceError
		if !errors.As(err, &refused) {
			s.Errorf("a reference to %q, which does not exist, was answered with %v, want a *ReferenceError", missing, err)
			continue
		}
		if wanted := (daybook.ReferenceError{Stream: daybook.Stream("account-1"), Reference: missing}); *refused != wanted {
			s.Errorf("the error says %+v, want %+v", *refused, wanted)
		}
	}
}

func checkReferenceCreated(s *subject) {
	b := s.book()
	own := daybook.Stream("account-1")
	if _, err := b.AppendAll(s.Context(), referring(own, own)); err != nil {
		s.Errorf("a stream that refers to itself, in its first append: %v", err)
	}
	if !s.offered(SeveralStreams) {
		return
	}
	one, two := daybook.Stream("owner-1"), daybook.Stream("owner-2")
	each := together(referring(one, two).Changesets[0], referring(two, one).Changesets[0])
	if _, err := b.AppendAll(s.Context(), each); err != nil {
		s.Errorf("two streams that refer to each other, in their first append: %v", err)
	}
	if count := len(b.log()); count != 3 {
		s.Errorf("the log has %d records, want 3", count)
	}
}
