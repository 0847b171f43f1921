package livestate

import (
	"context"
	"sync"

	"github.com/daybook-go/daybook"
)

// What takes longest in catching up is most often decoding. Several goroutines
// do it for a group of records; folding them stays the work of one, in order.

// fewest is how many records are worth a goroutine.
const fewest = 16

// piece is a part of a group, decoded by one goroutine.
type piece[E any] struct {
	events []E
	ends   []int   // of the events of each record, in events
	errs   []error // by record; nil where it decodes
}

// decode decodes records.
func (s *Service[E]) decode(p *piece[E], records []daybook.Record) {
	p.events, p.ends, p.errs = p.events[:0], p.ends[:0], p.errs[:0]
	for i := range records {
		var err error
		p.events, err = s.codec.AppendDecode(p.events, &records[i])
		p.ends, p.errs = append(p.ends, len(p.events)), append(p.errs, err)
	}
}

// addTogether decodes records by several goroutines and puts them behind those
// of the group. The caller holds mu.
func (s *Service[E]) addTogether(g *group[E], records []daybook.Record) {
	pieces := s.pieces
	size := max(fewest, (len(records)+len(pieces)-1)/len(pieces))
	var decoding sync.WaitGroup
	for i := range pieces {
		from, to := min(i*size, len(records)), min((i+1)*size, len(records))
		if i > 0 && from < to {
			decoding.Go(func() { s.decode(&pieces[i], records[from:to]) })
		}
	}
	s.decode(&pieces[0], records[:min(size, len(records))])
	decoding.Wait()
	for n := range records {
		p, at := &pieces[n/size], n%size
		if p.errs[at] != nil {
			s.cannotDecode(&records[n], p.errs[at])
		}
		start := 0
		if at > 0 {
			start = p.ends[at-1]
		}
		g.events = append(g.events, p.events[start:p.ends[at]]...)
		g.end(&records[n])
	}
}

// catchUpTogether folds everything up to end. The caller holds mu.
func (s *Service[E]) catchUpTogether(ctx context.Context, end daybook.Position) error {
	if s.pieces == nil {
		s.pieces = make([]piece[E], s.options.Decoders)
	}
	var g group[E]
	records := s.gathered[:0]
	defer func() {
		clear(records[:cap(records)]) // nobody needs what they point to
		s.gathered = records[:0]
	}()
	for record, err := range s.read(ctx, end) {
		if err != nil {
			return err
		}
		if records = append(records, record); len(records) == s.options.Group {
			s.addTogether(&g, records)
			s.fold(&g, record.Position)
			g.reset()
			records = records[:0]
			s.saveIfDue(ctx)
		}
	}
	s.addTogether(&g, records)
	s.fold(&g, end)
	s.saveIfDue(ctx)
	return nil
}
