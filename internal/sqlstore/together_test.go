package sqlstore

import (
	"testing"

	"github.com/daybook-go/daybook"
)

// one returns an append of one event to a stream.
func one(stream string, expect daybook.Expect) *daybook.Append {
	return &daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{
		Stream: daybook.Stream(stream), Expect: expect, Events: []daybook.Event{{Type: "deposited", Tags: []string{"iban:1"}}},
	}}}
}

func TestAppendsThatDependOnOneAnotherAreNotStoredTogether(t *testing.T) {
	email, name := daybook.Claim{Kind: "email", Value: "ann"}, daybook.Claim{Kind: "name", Value: "ann"}
	first := one("account-1", daybook.ExpectNone())
	first.Changesets[0].Claims, first.Changesets[0].Releases = []daybook.Claim{email}, []daybook.Claim{name}
	with := func(change func(a *daybook.Append, c *daybook.Changeset)) *daybook.Append {
		a := one("account-2", daybook.ExpectNone())
		change(a, &a.Changesets[0])
		return a
	}
	condition := func(items ...daybook.QueryItem) func(a *daybook.Append, c *daybook.Changeset) {
		return func(a *daybook.Append, _ *daybook.Changeset) {
			a.Condition = &daybook.Condition{Query: daybook.Query{Items: items}}
		}
	}
	for name, test := range map[string]struct {
		append  *daybook.Append
		depends bool
	}{
		"another stream":                     {one("account-2", daybook.ExpectNone()), false},
		"the same stream, expecting nothing": {one("account-1", daybook.ExpectAny()), false},
		"the same stream, expecting":         {one("account-1", daybook.ExpectVersion(1)), true},
		"the stream's name, another partition": {with(func(_ *daybook.Append, c *daybook.Changeset) {
			c.Stream = daybook.StreamID{Partition: "p", Name: "account-1"}
		}), false},
		"the same id": {with(func(a *daybook.Append, _ *daybook.Changeset) { a.ID = first.ID }), true},
		"a reference to it": {with(func(_ *daybook.Append, c *daybook.Changeset) {
			c.References = []daybook.StreamID{daybook.Stream("account-1")}
		}), true},
		"a reference elsewhere": {with(func(_ *daybook.Append, c *daybook.Changeset) {
			c.References = []daybook.StreamID{daybook.Stream("account-3")}
		}), false},
		"a claim that it takes":      {with(func(_ *daybook.Append, c *daybook.Changeset) { c.Claims = []daybook.Claim{email} }), true},
		"a claim that it releases":   {with(func(_ *daybook.Append, c *daybook.Changeset) { c.Claims = []daybook.Claim{name} }), true},
		"a release of what it takes": {with(func(_ *daybook.Append, c *daybook.Changeset) { c.Releases = []daybook.Claim{email} }), true},
		"a claim of another partition": {with(func(_ *daybook.Append, c *daybook.Changeset) {
			c.Stream.Partition, c.Claims = "p", []daybook.Claim{email}
		}), false},
		"a condition that its event matches":   {with(condition(daybook.QueryItem{Tags: []string{"iban:1"}})), true},
		"a condition that everything matches":  {with(condition()), true},
		"a condition that its event misses":    {with(condition(daybook.QueryItem{Types: []string{"withdrawn"}})), false},
		"a condition on a tag that it has not": {with(condition(daybook.QueryItem{Types: []string{"deposited"}, Tags: []string{"iban:2"}})), false},
		"one of two changesets in the same one": {with(func(a *daybook.Append, _ *daybook.Changeset) {
			a.Changesets = append(a.Changesets, one("account-1", daybook.ExpectExists()).Changesets...)
		}), true},
	} {
		t.Run(name, func(t *testing.T) {
			var together Together
			together.Add(first)
			if depends := together.Depends(test.append); depends != test.depends {
				t.Errorf("it depends: %t, want %t", depends, test.depends)
			}
		})
	}
}

func TestStreamsAreCountedOnceInTheOrderInWhichTheyCome(t *testing.T) {
	var together Together
	for _, name := range []string{"b", "a", "b", "c"} {
		together.Add(one(name, daybook.ExpectAny()))
	}
	for i, name := range []string{"b", "a", "c"} {
		if n, there := together.Streams[daybook.Stream(name)]; !there || n != i {
			t.Errorf("stream %s has index %d (%t), want %d", name, n, there, i)
		}
	}
	if len(together.Streams) != 3 {
		t.Errorf("%d streams, want 3", len(together.Streams))
	}
}
