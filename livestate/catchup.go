package livestate

import (
	"context"
	"iter"
	"sync"

	"github.com/daybook-go/daybook"
)

// Quarantined tells of a record that could not be folded.
type Quarantined struct {
	Stream   daybook.StreamID
	Version  daybook.Version
	Position daybook.Position
	Type     string
	Fold     string // that could not take it; "" where it did not decode
	Err      error
}

// quarantine holds what was put aside.
type quarantine struct {
	most int

	mu    sync.Mutex // guards all below
	list  []Quarantined
	count int64
}

// Quarantine returns what was put aside since Start: the first
// Options.MaxQuarantine, and how many there are. A record that several folds
// could not take counts for each.
func (s *Service[E]) Quarantine() (list []Quarantined, count int64) {
	q := &s.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]Quarantined(nil), q.list...), q.count
}

// aside puts a record into quarantine.
func (s *Service[E]) aside(q Quarantined) {
	s.quarantine.mu.Lock()
	s.quarantine.count++
	if len(s.quarantine.list) < s.quarantine.most {
		s.quarantine.list = append(s.quarantine.list, q)
	}
	s.quarantine.mu.Unlock()
	if s.options.Hooks.OnQuarantine != nil {
		s.options.Hooks.OnQuarantine(q)
	}
}

// group is a number of records, decoded.
type group[E any] struct {
	events  []E
	records []Quarantined // where they are, but for Fold and Err
	ends    []int         // of the events of each record, in events
}

func (g *group[E]) reset() { g.events, g.records, g.ends = g.events[:0], g.records[:0], g.ends[:0] }

// record returns the record that an event came with.
func (g *group[E]) record(event int) Quarantined {
	i := 0
	for g.ends[i] <= event {
		i++
	}
	return g.records[i]
}

// from returns the index of the first event behind a position.
func (g *group[E]) from(position daybook.Position) int {
	start := 0
	for i := range g.records {
		if g.records[i].Position > position {
			break
		}
		start = g.ends[i]
	}
	return start
}

// add decodes a record. The caller holds mu.
func (s *Service[E]) add(g *group[E], record *daybook.Record) {
	var err error
	if g.events, err = s.codec.AppendDecode(g.events, record); err != nil {
		s.cannotDecode(record, err)
	}
	g.end(record)
}

// end puts a record behind those of the group; its events are there already.
func (g *group[E]) end(record *daybook.Record) {
	at := Quarantined{Stream: record.Stream, Version: record.Version, Position: record.Position, Type: record.Type}
	g.records, g.ends = append(g.records, at), append(g.ends, len(g.events))
}

// cannotDecode puts a record aside, and leaves every fold inconsistent that has
// not seen it. The caller holds mu.
func (s *Service[E]) cannotDecode(record *daybook.Record, err error) {
	again := record.Position <= s.undecoded // of a reading that was cut short
	for i := range s.folds {
		if s.places[i] < record.Position && s.inconsistent[i] == nil {
			s.inconsistent[i] = err
		}
	}
	if !again {
		s.undecoded = record.Position
		s.aside(Quarantined{Stream: record.Stream, Version: record.Version, Position: record.Position, Type: record.Type, Err: err})
	}
}

// fold carries a group out on a state and publishes what comes of it; seen is
// how far the log is known then. The caller holds mu.
func (s *Service[E]) fold(g *group[E], seen daybook.Position) {
	s.folding.Store(true)
	defer s.folding.Store(false)
	state := s.current.Load()
	next := *state
	next.seen = max(next.seen, seen)
	if n := len(g.records); n > 0 {
		last := g.records[n-1]
		next.values = append([]any(nil), state.values...)
		for i, fold := range s.folds {
			start := g.from(s.places[i])
			if start < len(g.events) {
				var failed []failure
				next.values[i], failed = fold.advance(state.values[i], g.events[start:])
				for _, f := range failed {
					q := g.record(start + f.at)
					q.Fold, q.Err = fold.Name(), f.err
					s.inconsistent[i] = f.err
					s.aside(q)
				}
			}
			s.places[i], s.versions[i] = max(s.places[i], last.Position), max(s.versions[i], s.versionOf(last))
		}
		next.seen = max(next.seen, last.Position)
		next.position, next.version = max(next.position, last.Position), max(next.version, s.versionOf(last))
		s.records.Add(int64(n))
		s.sinceSave += n
	}
	s.current.Store(&next)
}

// versionOf returns the version of a record where that is a place of the
// source.
func (s *Service[E]) versionOf(record Quarantined) daybook.Version {
	if s.source.isStream() {
		return record.Version
	}
	return 0
}

// catchUp folds everything that stands in the store.
func (s *Service[E]) catchUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, err := s.store.End(ctx)
	if err != nil {
		return err
	}
	s.goal.Store(int64(end))
	if end <= s.current.Load().seen {
		return nil
	}
	if s.options.Decoders > 1 {
		return s.catchUpTogether(ctx, end)
	}
	var g group[E]
	at := new(daybook.Record) // one for all, so that not each takes memory of its own
	for record, err := range s.read(ctx, end) {
		if err != nil {
			return err
		}
		*at = record
		s.add(&g, at)
		if len(g.records) == s.options.Group {
			s.fold(&g, record.Position)
			g.reset()
			s.saveIfDue(ctx)
		}
	}
	s.fold(&g, end)
	s.saveIfDue(ctx)
	return nil
}

// read yields the records that some fold has not seen.
func (s *Service[E]) read(ctx context.Context, end daybook.Position) iter.Seq2[daybook.Record, error] {
	state := s.current.Load()
	lend := s.options.Decoders <= 1
	if s.source.isStream() {
		return s.store.ReadStream(ctx, s.source.stream, daybook.StreamRead{From: state.version + 1, Borrow: lend})
	}
	return s.store.ReadLog(ctx, daybook.LogRead{After: state.seen, To: end, Filter: s.source.filter, Borrow: lend})
}

// learn folds the records that a conflict brought, where they are all, so that
// nothing has to be read; it reports whether they were.
func (s *Service[E]) learn(records iter.Seq[*daybook.Record], seen daybook.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var g group[E]
	state := s.current.Load()
	version := state.version
	for record := range records {
		if record.Position <= state.position {
			continue
		}
		if s.source.isStream() {
			if record.Version != version+1 && version > 0 {
				return false
			}
			version = record.Version
		} else if !s.source.filter.Matches(record) {
			continue
		}
		s.add(&g, record)
	}
	s.fold(&g, seen)
	return true
}
