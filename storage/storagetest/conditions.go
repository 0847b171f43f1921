package storagetest

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var conditionPromises = []Promise{
	{
		Name: "a condition holds exactly if nothing that matches stands behind its position", Feature: Conditions, check: checkConditions,
		Sentence: "A decision was stored though something that it depends on has changed, or refused though nothing has.",
	},
	{
		Name: "the append's own events do not count", Feature: Conditions, check: checkOwnEvents,
		Sentence: "No append whose own events match its condition can ever be stored.",
	},
	{
		Name: "a condition looks at what stands in the log only", Feature: Conditions, check: checkConditionRefusedOnes,
		Sentence: "A refused append counts for conditions, as if it had been stored.",
	},
	{
		Name: "a refusal brings the records that stand in the way", Feature: Conditions, check: checkConditionFound,
		Sentence: "The caller of a refused append is told the wrong place of the log, and decides again in vain.",
	},
	{
		Name: "a condition stands beside an Expect", Feature: Conditions, check: checkConditionAndExpect,
		Sentence: "Of two demands of one append only one is looked at.",
	},
	{
		Name: "unrelated conditional appends never refuse each other", Feature: Conditions, check: checkUnrelated,
		Sentence: "A conditional append is refused because of another one that its query does not match.",
	},
	{
		Name: "no decision is stored behind a record that it did not see", Feature: Conditions, check: checkDecisions,
		Sentence: "Check and write are two steps: two decisions that exclude each other were both stored.",
	},
}

// conditional returns an append of one event under a condition.
func conditional(stream string, query daybook.Query, after daybook.Position, e daybook.Event) daybook.Append {
	a := single(stream, daybook.ExpectAny(), e)
	a.Condition = &daybook.Condition{Query: query, After: after}
	return a
}

func checkConditions(s *subject) {
	for i, c := range queryCases {
		b := s.book()
		b.fillTagged()
		log := b.log()
		last := 0 // how many records stand up to the last one that matches
		for j, r := range log {
			if matches(daybook.Query{Items: c.items}, r.Type, r.Tags) {
				last = j + 1
			}
		}
		query := daybook.Query{Items: c.items}
		for after := range len(log) + 1 {
			if after > 0 && after != last && after != last-1 && after%5 != i%5 {
				continue
			}
			position := daybook.Position(0)
			if after > 0 {
				position = log[after-1].Position
			}
			// What is stored matches no query but those that match all, so
			// that it does not change what follows.
			a := conditional("decision-1", query, position, event("decided"))
			_, err := b.driver.Append(s.Context(), a)
			stored := b.end() > log[len(log)-1].Position
			what := fmt.Sprintf("an append on condition that nothing matches %+v behind position %d, where %d records stand up to the last that matches", c.items, position, last)
			switch {
			case last > after && !errors.Is(err, daybook.ErrConflict):
				s.Errorf("%s: %v, want a conflict", what, err)
			case last > after && stored:
				s.Errorf("%s was refused, and stored", what)
			case last <= after && err != nil:
				s.Errorf("%s: %v", what, err)
			}
			if last <= after {
				break // the log has more than log now
			}
		}
		b.close()
	}
	b := s.book()
	if _, err := b.AppendAll(s.Context(), conditional("decision-1", daybook.Query{}, 0, event("first"))); err != nil {
		s.Errorf("the first append, on condition that the log is empty: %v", err)
	}
	if _, err := b.AppendAll(s.Context(), conditional("decision-1", daybook.Query{}, 0, event("second"))); !errors.Is(err, daybook.ErrConflict) {
		s.Errorf("the second append, on condition that the log is empty, was answered with %v, want a conflict", err)
	}
	if _, err := b.AppendAll(s.Context(), conditional("decision-1", daybook.Query{}, b.end()+1000, event("third"))); err != nil {
		s.Errorf("an append on condition that nothing stands behind a position that the log has not reached: %v", err)
	}
}

func checkOwnEvents(s *subject) {
	b := s.book()
	query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"taken"}, Tags: []string{"seat:1"}}}}
	a := conditional("seat-1", query, 0, event("taken", "seat:1"))
	a.Changesets[0].Events = append(a.Changesets[0].Events, event("taken", "seat:1"), event("paid", "seat:1"))
	b.keep(a, "an append whose own events match its condition")
	if _, err := b.AppendAll(s.Context(), conditional("seat-2", query, 0, event("taken", "seat:1"))); !errors.Is(err, daybook.ErrConflict) {
		s.Errorf("the next such append was answered with %v, want a conflict", err)
	}
}

func checkConditionRefusedOnes(s *subject) {
	b := s.book()
	query := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"seat:1"}}}}
	refused := single("seat-1", daybook.ExpectExists(), event("taken", "seat:1"))
	if _, err := b.AppendAll(s.Context(), refused); !errors.Is(err, daybook.ErrConflict) {
		s.Fatalf("an append that expects its stream to exist was answered with %v, want a conflict", err)
	}
	b.appendAll(conditional("seat-1", query, 0, event("taken", "seat:1")))
	before := b.trace()
	for range 2 {
		if _, err := b.AppendAll(s.Context(), conditional("seat-2", query, 0, event("taken", "seat:2"))); !errors.Is(err, daybook.ErrConflict) {
			s.Errorf("an append whose condition does not hold was answered with %v, want a conflict", err)
		}
		b.untouched(before, "an append whose condition does not hold")
	}
	other := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"seat:2"}}}}
	b.appendAll(conditional("seat-2", other, 0, event("taken", "seat:2")))
}

func checkConditionFound(s *subject) {
	b := s.book()
	b.fillTagged()
	log := b.log()
	for _, c := range queryCases {
		query := daybook.Query{Items: c.items}
		for _, after := range []int{0, 1, 4, 8} {
			position := daybook.Position(0)
			if after > 0 {
				position = log[after-1].Position
			}
			var wanted []daybook.Record
			for _, r := range log[after:] {
				if matches(query, r.Type, r.Tags) {
					wanted = append(wanted, r)
				}
			}
			if len(wanted) == 0 {
				continue
			}
			_, err := b.AppendAll(s.Context(), conditional("decision-1", query, position, event("decided")))
			var refused *daybook.ConditionError
			if !errors.As(err, &refused) {
				s.Fatalf("a condition of %+v behind %d was answered with %v, want a *ConditionError", c.items, position, err)
			}
			last := wanted[len(wanted)-1].Position
			if refused.Found != last || refused.Condition.After != position || len(refused.Condition.Query.Items) != len(c.items) {
				s.Errorf("a condition of %+v behind %d found %d and says %+v; the last that matches stands at %d",
					c.items, position, refused.Found, refused.Condition, last)
			}
			s.sameRecords(refused.Records, wanted, fmt.Sprintf("the records in the way of %+v behind %d", c.items, position))
		}
	}
}

func checkConditionAndExpect(s *subject) {
	b := s.book()
	b.append("seat-1", daybook.ExpectNone(), event("taken", "seat:1"))
	taken := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"seat:1"}}}}
	free := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"seat:2"}}}}
	for _, c := range []struct {
		what   string
		query  daybook.Query
		expect daybook.Expect
		holds  bool
	}{
		{"both hold", free, daybook.ExpectNone(), true},
		{"only the condition holds", free, daybook.ExpectVersion(1), false},
		{"only the Expect holds", taken, daybook.ExpectNone(), false},
		{"neither holds", taken, daybook.ExpectVersion(1), false},
	} {
		a := conditional("order-"+c.what, c.query, 0, event("ordered"))
		a.Changesets[0].Expect = c.expect
		_, err := b.AppendAll(s.Context(), a)
		if c.holds && err != nil || !c.holds && !errors.Is(err, daybook.ErrConflict) {
			s.Errorf("of condition and Expect %s: %v", c.what, err)
		}
		if stored := len(b.stream("order-" + c.what)); stored > 0 != c.holds {
			s.Errorf("of condition and Expect %s, but %d records were stored", c.what, stored)
		}
	}
}

func checkUnrelated(s *subject) {
	const writers, appends = 6, 20
	b := s.book()
	group, ctx := errgroup.WithContext(s.Context())
	for writer := range writers {
		group.Go(func() error {
			tag := numbered("subject", writer)
			query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"decided"}, Tags: []string{tag}}}}
			var after daybook.Position
			for i := range appends {
				// All share a tag and the type, never both with each other's own tag.
				receipt, err := b.AppendAll(ctx, conditional(tag, query, after, event("decided", tag, "shared")))
				if err != nil {
					return fmt.Errorf("decision %d about %s, made on all others about it: %w", i+1, tag, err)
				}
				after = receipt.Position()
			}
			return nil
		})
	}
	s.must(group.Wait(), "%d writers with conditions of their own", writers)
}
