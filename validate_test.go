package daybook_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// refusedInput is input that must be refused, and what the error must say.
type refusedInput struct {
	do    func(ctx context.Context, store *daybook.Store) error
	field string
	value string // as the error says it, or a part of it
	limit string // or the reason, or a part of it
}

// appendWith is an append of one event that change has spoiled.
func appendWith(change func(a *daybook.Append, c *daybook.Changeset, e *daybook.Event)) func(context.Context, *daybook.Store) error {
	return func(ctx context.Context, store *daybook.Store) error {
		a := daybook.Append{Changesets: []daybook.Changeset{{Stream: account, Events: []daybook.Event{{Type: "opened"}}}}}
		change(&a, &a.Changesets[0], &a.Changesets[0].Events[0])
		_, err := store.AppendAll(ctx, a)
		return err
	}
}

type (
	ap = daybook.Append
	ch = daybook.Changeset
	ev = daybook.Event
)

var refusedAppends = map[string]refusedInput{
	"no changesets":          {appendWith(func(a *ap, _ *ch, _ *ev) { a.Changesets = nil }), "changesets", "empty", "at least one"},
	"no events":              {appendWith(func(_ *ap, c *ch, _ *ev) { c.Events = nil }), "changesets[0].events", "empty", "at least one"},
	"an empty name":          {appendWith(func(_ *ap, c *ch, _ *ev) { c.Stream.Name = "" }), "changesets[0].stream_id", `""`, "empty"},
	"a long name":            {appendWith(func(_ *ap, c *ch, _ *ev) { c.Stream.Name = strings.Repeat("n", 1025) }), "changesets[0].stream_id", "1025", "1024"},
	"a long partition":       {appendWith(func(_ *ap, c *ch, _ *ev) { c.Stream.Partition = strings.Repeat("p", 257) }), "changesets[0].partition", "257", "256"},
	"a reserved name":        {appendWith(func(_ *ap, c *ch, _ *ev) { c.Stream.Name = "!!!RESERVED:x" }), "changesets[0].stream_id", `"!!!RESERVED:x"`, "reserved"},
	"a name that is no text": {appendWith(func(_ *ap, c *ch, _ *ev) { c.Stream.Name = "a\xff" }), "changesets[0].stream_id", `"a\xff"`, "UTF-8"},
	"a name with U+0000":     {appendWith(func(_ *ap, c *ch, _ *ev) { c.Stream.Name = "a\x00b" }), "changesets[0].stream_id", `"a\x00b"`, "U+0000"},
	"a negative version":     {appendWith(func(_ *ap, c *ch, _ *ev) { c.Expect = daybook.ExpectVersion(-3) }), "changesets[0].expect", "-3", "negative"},
	"an empty type":          {appendWith(func(_ *ap, _ *ch, e *ev) { e.Type = "" }), "changesets[0].events[0].type", `""`, "empty"},
	"a long type":            {appendWith(func(_ *ap, _ *ch, e *ev) { e.Type = strings.Repeat("t", 257) }), "changesets[0].events[0].type", "257", "256"},
	"too many tags":          {appendWith(func(_ *ap, _ *ch, e *ev) { e.Tags = make([]string, 101) }), "changesets[0].events[0].tags", "101", "100"},
	"an empty tag":           {appendWith(func(_ *ap, _ *ch, e *ev) { e.Tags = []string{"a", ""} }), "changesets[0].events[0].tags[1]", `""`, "empty"},
	"a tag twice":            {appendWith(func(_ *ap, _ *ch, e *ev) { e.Tags = []string{"a", "b", "a"} }), "changesets[0].events[0].tags[2]", `"a"`, "twice"},
	"a year too late":        {appendWith(func(_ *ap, _ *ch, e *ev) { e.OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }), "changesets[0].events[0].occurred_at", "10000", "9999"},
	"a long who":             {appendWith(func(_ *ap, _ *ch, e *ev) { e.Context.Who = strings.Repeat("w", 4097) }), "changesets[0].events[0].context.who", "4097", "4096"},
	"a long cause": {appendWith(func(_ *ap, _ *ch, e *ev) { e.Context.Why = &daybook.Cause{What: strings.Repeat("w", 4097)} }),
		"changesets[0].events[0].context.why.what", "4097", "4096"},
	"an empty claim":        {appendWith(func(_ *ap, c *ch, _ *ev) { c.Claims = []daybook.Claim{{Kind: "email"}} }), "changesets[0].claims[0].value", `""`, "empty"},
	"an empty release":      {appendWith(func(_ *ap, c *ch, _ *ev) { c.Releases = []daybook.Claim{{Value: "x"}} }), "changesets[0].releases[0].kind", `""`, "empty"},
	"a reference to nobody": {appendWith(func(_ *ap, c *ch, _ *ev) { c.References = []daybook.StreamID{{}} }), "changesets[0].references[0].stream_id", `""`, "empty"},
	"a claim twice": {appendWith(func(_ *ap, c *ch, _ *ev) {
		c.Claims = []daybook.Claim{{Kind: "email", Value: "x"}, {Kind: "email", Value: "x"}}
	}), "changesets[0].claims[1]", `"email x"`, "twice"},
	"an event id twice": {appendWith(func(_ *ap, c *ch, e *ev) {
		e.ID = daybook.IDOf("one")
		c.Events = []ev{*e, {Type: "between"}, *e}
	}), "changesets[0].events[2].id", daybook.IDOf("one").String(), "twice"},
	"a stream twice": {appendWith(func(a *ap, c *ch, _ *ev) { a.Changesets = append(a.Changesets, *c) }), "changesets[1].stream_id", `"account-1"`, "twice"},
	"a condition before the beginning": {appendWith(func(a *ap, _ *ch, _ *ev) { a.Condition = &daybook.Condition{After: -1} }),
		"condition.after", "-1", "negative"},
	"a condition on an empty tag": {appendWith(func(a *ap, _ *ch, _ *ev) {
		a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{}, {Tags: []string{""}}}}}
	}), "condition.query.items[1].tags[0]", `""`, "empty"},
	"a condition of too many items": {appendWith(func(a *ap, _ *ch, _ *ev) {
		a.Condition = &daybook.Condition{Query: daybook.Query{Items: make([]daybook.QueryItem, 1001)}}
	}), "condition.query.items", "1001", "1000"},
	// The store of the test has lower limits.
	"too many events":     {appendWith(func(_ *ap, c *ch, e *ev) { c.Events = []ev{*e, *e, *e, *e} }), "events", "4", "3"},
	"too many changesets": {appendWith(func(a *ap, c *ch, _ *ev) { a.Changesets = []ch{*c, *c, *c} }), "changesets", "3", "2"},
	"a large event":       {appendWith(func(_ *ap, _ *ch, e *ev) { e.Data = make([]byte, 51) }), "changesets[0].events[0].data", "51", "50"},
	"a large append": {appendWith(func(_ *ap, c *ch, e *ev) {
		e.Data = make([]byte, 45)
		c.Events = []ev{*e, *e}
		c.Metadata = make([]byte, 10)
	}), "append", "112", "100"},
}

var refusedReads = map[string]refusedInput{
	"a stream without a name": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ReadStream(ctx, daybook.StreamID{}, daybook.StreamRead{}))
		return err
	}, "stream_id", `""`, "empty"},
	"a negative from": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ReadStream(ctx, account, daybook.StreamRead{From: -1}))
		return err
	}, "from", "-1", "negative"},
	"a negative to": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ReadLog(ctx, daybook.LogRead{To: -2}))
		return err
	}, "to", "-2", "negative"},
	"a negative limit": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ReadLog(ctx, daybook.LogRead{Limit: -3}))
		return err
	}, "limit", "-3", "negative"},
	"an empty type": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{""}}}}}}))
		return err
	}, "query.items[0].types[0]", `""`, "empty"},
	"a head without a name": {func(ctx context.Context, s *daybook.Store) error {
		_, err := s.Head(ctx, daybook.StreamID{Partition: "p"})
		return err
	}, "stream_id", `""`, "empty"},
	"a list with a query": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ListStreams(ctx, daybook.StreamList{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{}}}}}))
		return err
	}, "filter.query", "not empty", "partition and type"},
	"a list with a negative limit": {func(ctx context.Context, s *daybook.Store) error {
		_, err := gather(s.ListStreams(ctx, daybook.StreamList{Limit: -1}))
		return err
	}, "limit", "-1", "negative"},
	"a claim without a kind": {func(ctx context.Context, s *daybook.Store) error {
		_, _, err := s.ClaimHolder(ctx, "", daybook.Claim{Value: "x"})
		return err
	}, "claim.kind", `""`, "empty"},
}

func TestWrongInputIsRefusedWithFieldValueAndLimit(t *testing.T) {
	limits := daybook.Limits{AppendBytes: 100, EventBytes: 50, Events: 3, Changesets: 2}
	for _, inputs := range []map[string]refusedInput{refusedAppends, refusedReads, refusedImports} {
		for name, input := range inputs {
			t.Run(name, func(t *testing.T) {
				store := daybook.New(memory.New(nil), &daybook.Options{Limits: limits})
				err := input.do(t.Context(), store)
				if !errors.Is(err, daybook.ErrInvalid) || !errors.Is(err, daybook.ErrRefused) {
					t.Fatalf("was answered with %v, want it to match ErrInvalid and ErrRefused", err)
				}
				field, value, limit := facts(err)
				if field != input.field || !strings.Contains(value, input.value) || !strings.Contains(limit, input.limit) {
					t.Errorf("the error names %q, value %q, limit %q; want %q, %q, %q", field, value, limit, input.field, input.value, input.limit)
				}
				for _, fact := range []string{field, value, limit} {
					if !strings.Contains(err.Error(), fact) {
						t.Errorf("the text %q does not tell %q", err, fact)
					}
				}
				if end, _ := store.End(t.Context()); end != 0 {
					t.Errorf("something was stored at position %d", end)
				}
			})
		}
	}
}

// facts returns the field, the value and the limit or reason that err names.
func facts(err error) (field, value, limit string) {
	var invalid *daybook.InvalidError
	var tooLarge *daybook.LimitError
	switch {
	case errors.As(err, &invalid):
		return invalid.Field, invalid.Value, invalid.Reason
	case errors.As(err, &tooLarge):
		return tooLarge.Field, fmt.Sprint(tooLarge.Value), fmt.Sprint(tooLarge.Limit)
	}
	return "", "", ""
}

func TestLongValuesAreShortenedInErrors(t *testing.T) {
	id := daybook.Stream(strings.Repeat("x", 500) + "\x00")
	var invalid *daybook.InvalidError
	if err := id.Validate(); !errors.As(err, &invalid) || len(invalid.Value) > 150 || !strings.Contains(invalid.Value, "421 bytes more") {
		t.Errorf("the error is %v, want a shortened value", err)
	}
}
