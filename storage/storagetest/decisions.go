package storagetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

// decision is the data of an event that says on what it was decided: that
// nothing matches the query behind the position.
type decision struct {
	Query daybook.Query
	After daybook.Position
}

// checkDecisions lets writers decide about the same few subjects at the same
// time. Every event carries its query and position, so that the log alone
// tells whether each decision was still right where it was stored.
func checkDecisions(s *subject) {
	const writers, decisions = 6, 15
	random := s.random()
	b := s.book()
	group, ctx := errgroup.WithContext(s.Context())
	for writer := range writers {
		d := &decider{b: b, writer: writer, pools: newPools(rand.New(rand.NewPCG(random.Uint64(), 0)))}
		group.Go(func() error {
			for d.stored < decisions {
				if err := d.decide(ctx); err != nil {
					return fmt.Errorf("writer %d: %w", writer, err)
				}
			}
			return nil
		})
	}
	s.must(group.Wait(), "%d writers that decide at a time", writers)
	log := b.log()
	count := 0
	for _, r := range log {
		var d decision
		s.must(json.Unmarshal(r.Data, &d), "the decision of %s", place(r))
		count++
		for _, other := range log {
			if other.Position > d.After && other.Position < r.Position && other.Changeset.AppendID != r.Changeset.AppendID &&
				matches(d.Query, other.Type, other.Tags) {
				s.Fatalf("%s was decided on condition that nothing matches %+v behind position %d, but %s does (type %q, tags %q)",
					place(r), d.Query.Items, d.After, place(other), other.Type, other.Tags)
			}
		}
	}
	if count < writers*decisions {
		s.Errorf("%d decisions were acknowledged, the log has %d", writers*decisions, count)
	}
}

// decider makes decisions, one after the other.
type decider struct {
	b      *book
	writer int
	pools  *pools
	stored int
}

// decide reads what a random query selects, and appends on condition that
// there is no more; what is appended often matches the queries of others.
func (d *decider) decide(ctx context.Context) error {
	query := d.pools.query()
	if len(query.Items) == 0 {
		query.Items = []daybook.QueryItem{{Types: []string{d.pools.kind()}}}
	}
	var after daybook.Position
	for record, err := range d.b.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: query}, Backwards: true, Limit: 1}) {
		if err != nil {
			return err
		}
		after = record.Position
	}
	data, err := json.Marshal(decision{Query: query, After: after})
	if err != nil {
		return err
	}
	a := conditional(numbered("decider", d.writer%3), query, after, event(d.pools.kind(), d.pools.tags()...))
	if d.pools.random.IntN(3) == 0 {
		a.Changesets[0].Events = append(a.Changesets[0].Events, event(d.pools.kind(), d.pools.tags()...))
	}
	for i := range a.Changesets[0].Events {
		a.Changesets[0].Events[i].Data = data
	}
	_, err = d.b.AppendAll(ctx, a)
	if err == nil {
		d.stored++
	} else if errors.Is(err, daybook.ErrConflict) {
		err = nil
	}
	return err
}
