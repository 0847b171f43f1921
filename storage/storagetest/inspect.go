package storagetest

import (
	"fmt"

	"github.com/daybook-go/daybook"
)

// inspect walks every store that the check left open and holds it to what is
// true of every store at every time.
func (s *subject) inspect() {
	s.Helper()
	for _, b := range s.books {
		if b.closed.Load() {
			continue
		}
		log := b.log()
		if err := wellFormed(log); err != nil {
			s.Errorf("the log that the check left: %v", err)
			continue
		}
		streams := map[daybook.StreamID][]daybook.Record{}
		for _, record := range log {
			streams[record.Stream] = append(streams[record.Stream], record)
		}
		for id, records := range streams {
			s.sameRecords(b.readStream(id, daybook.StreamRead{}), records, fmt.Sprintf("stream %q, compared with the log,", id))
		}
	}
}

// wellFormed returns what is wrong with a whole log, if anything is.
func wellFormed(log []daybook.Record) error {
	last := map[daybook.StreamID]daybook.Record{}
	ordinals := map[daybook.Ordinal]daybook.Record{}
	for i := range log {
		r := log[i]
		switch {
		case r.Changeset == nil:
			return fmt.Errorf("%s has no changeset", place(r))
		case r.Position < 1 || r.Version < 1 || r.Changeset.Number < 1 || r.Changeset.First < 1:
			return fmt.Errorf("%s: positions, versions and changeset numbers begin at 1, this is changeset %+v", place(r), *r.Changeset)
		case r.Version < r.Changeset.First || r.Version > r.Changeset.Last():
			return fmt.Errorf("%s stands outside its changeset, versions %d to %d", place(r), r.Changeset.First, r.Changeset.Last())
		}
		if i > 0 {
			if err := follows(r, log[i-1]); err != nil {
				return err
			}
		}
		if before, ok := last[r.Stream]; ok {
			if err := continues(r, before); err != nil {
				return err
			}
		} else if r.Version != r.Changeset.First {
			return fmt.Errorf("%s: the stream begins inside a changeset", place(r))
		}
		last[r.Stream] = r
		if o := r.Changeset.Ordinal; o != 0 {
			if other, ok := ordinals[o]; ok && (other.Stream != r.Stream || other.Changeset.Number != r.Changeset.Number) {
				return fmt.Errorf("%s and %s are of two changesets with ordinal %d", place(other), place(r), o)
			}
			ordinals[o] = r
		}
	}
	for _, r := range last {
		if r.Version != r.Changeset.Last() {
			return fmt.Errorf("%s is the last of its stream, its changeset ends at version %d", place(r), r.Changeset.Last())
		}
	}
	return nil
}

// follows returns why a record cannot stand behind another in the log.
func follows(r, before daybook.Record) error {
	switch {
	case r.Position <= before.Position:
		return fmt.Errorf("%s stands behind %s: positions must rise", place(r), place(before))
	case r.RecordedAt.Before(before.RecordedAt):
		return fmt.Errorf("%s was recorded at %v, %s behind it at %v: recorded times must not fall",
			place(before), before.RecordedAt, place(r), r.RecordedAt)
	case before.Version != before.Changeset.Last() && (r.Stream != before.Stream || r.Version != before.Version+1):
		return fmt.Errorf("%s stands inside the changeset of %s", place(r), place(before))
	case before.Changeset.Ordinal != 0 && r.Changeset.Ordinal < before.Changeset.Ordinal:
		return fmt.Errorf("%s has ordinal %d behind %d: ordinals must rise", place(r), r.Changeset.Ordinal, before.Changeset.Ordinal)
	}
	return nil
}

// continues returns why a record cannot stand behind another in their stream.
func continues(r, before daybook.Record) error {
	same := r.Changeset.Number == before.Changeset.Number
	switch {
	case r.Version != before.Version+1:
		return fmt.Errorf("%s stands behind %s in its stream: versions must rise by one", place(r), place(before))
	case same && headerDifference(r.Changeset, before.Changeset) != "":
		return fmt.Errorf("%s and %s are of one changeset: %s", place(before), place(r), headerDifference(r.Changeset, before.Changeset))
	case same && !r.RecordedAt.Equal(before.RecordedAt):
		return fmt.Errorf("%s and %s are of one changeset but recorded at different times", place(before), place(r))
	case !same && (r.Changeset.Number != before.Changeset.Number+1 || r.Version != r.Changeset.First):
		return fmt.Errorf("%s begins changeset %d behind changeset %d", place(r), r.Changeset.Number, before.Changeset.Number)
	}
	return nil
}
