package daybook_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// aged returns a store with streams that have a changeset an hour each, of 1,
// 2, 1, 2 records and so on, the last one recorded at now.
func aged(t *testing.T, changesets int, streams ...string) (store *daybook.Store, faulty *storagetest.Faulty, now time.Time) {
	t.Helper()
	clock := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	faulty = storagetest.NewFaulty(memory.New(&memory.Options{Now: func() time.Time { return clock }}))
	store = daybook.New(faulty, nil)
	for i := range changesets {
		clock = clock.Add(time.Hour)
		for _, name := range streams {
			add(t, store, daybook.Stream(name), slices.Repeat([]string{"added"}, 1+i%2)...)
		}
	}
	return store, faulty, clock
}

// left returns the versions that each stream has.
func left(t *testing.T, store *daybook.Store, streams ...string) string {
	t.Helper()
	text := ""
	for _, name := range streams {
		head, err := store.Head(t.Context(), daybook.Stream(name))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s %d-%d ", name, head.First, head.Version)
	}
	return text
}

func TestRetentionKeepsWhatItsRulesSayInWholeChangesets(t *testing.T) {
	// The changesets of a stream are versions 1, 2-3, 4, 5-6, recorded 3, 2, 1
	// hours ago and now.
	for _, c := range []struct {
		rule    daybook.RetentionRule
		left    string
		records int64
	}{
		{daybook.RetentionRule{Keep: 1}, "a-1 5-6 ", 4},
		{daybook.RetentionRule{Keep: 2}, "a-1 5-6 ", 4},
		{daybook.RetentionRule{Keep: 3}, "a-1 4-6 ", 3},
		{daybook.RetentionRule{Keep: 4}, "a-1 2-6 ", 1},
		{daybook.RetentionRule{Keep: 6}, "a-1 1-6 ", 0},
		{daybook.RetentionRule{Keep: 60}, "a-1 1-6 ", 0},
		{daybook.RetentionRule{MaxAge: time.Microsecond}, "a-1 5-6 ", 4},
		{daybook.RetentionRule{MaxAge: time.Hour}, "a-1 5-6 ", 4},
		{daybook.RetentionRule{MaxAge: time.Hour + time.Microsecond}, "a-1 4-6 ", 3},
		{daybook.RetentionRule{MaxAge: 30 * time.Hour}, "a-1 1-6 ", 0},
		{daybook.RetentionRule{MaxAge: 30 * time.Hour, Keep: 3}, "a-1 4-6 ", 3},
		{daybook.RetentionRule{MaxAge: time.Hour, Keep: 5}, "a-1 5-6 ", 4},
	} {
		store, _, now := aged(t, 4, "a-1")
		options := &daybook.RetainOptions{Now: func() time.Time { return now }, DryRun: true}
		told, err := daybook.Retain(t.Context(), store, []daybook.RetentionRule{c.rule}, options)
		if err != nil || told.Records != c.records {
			t.Errorf("%+v would take %d records, want %d; error %v", c.rule, told.Records, c.records, err)
		}
		if got := left(t, store, "a-1"); got != "a-1 1-6 " {
			t.Fatalf("a dry run has left %s", got)
		}
		options.DryRun = false
		done, err := daybook.Retain(t.Context(), store, []daybook.RetentionRule{c.rule}, options)
		if err != nil || done != told {
			t.Errorf("%+v reports %+v, the dry run %+v; error %v", c.rule, done, told, err)
		}
		if got := left(t, store, "a-1"); got != c.left {
			t.Errorf("%+v has left %s, want %s", c.rule, got, c.left)
		}
		again, err := daybook.Retain(t.Context(), store, []daybook.RetentionRule{c.rule}, options)
		if err != nil || again.Records != 0 || again.Trimmed != 0 {
			t.Errorf("%+v, once more, reports %+v; error %v", c.rule, again, err)
		}
	}
}

func TestTheFirstRuleThatSelectsAStreamCounts(t *testing.T) {
	store, _, now := aged(t, 2, "a-1", "b-1", "c-1")
	rules := []daybook.RetentionRule{
		{Filter: daybook.Filter{StreamTypes: []string{"a"}}, Keep: 100, Scrub: true},
		{Filter: daybook.Filter{StreamTypes: []string{"a", "b"}}, MaxAge: time.Minute, Scrub: true},
	}
	later := now.Add(time.Hour)
	report, err := daybook.Retain(t.Context(), store, rules, &daybook.RetainOptions{Now: func() time.Time { return later }, Who: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (daybook.RetainReport{Streams: 3, Emptied: 1, Records: 3, After: daybook.Stream("c-1")}); report != want {
		t.Errorf("the report is %+v, want %+v", report, want)
	}
	if got, want := left(t, store, "a-1", "b-1", "c-1"), "a-1 1-3 b-1 4-3 c-1 1-3 "; got != want {
		t.Errorf("left is %s, want %s", got, want)
	}
	deletions, err := gather(store.ReadDeletions(t.Context(), daybook.DeletionRead{}))
	if err != nil || len(deletions) != 1 || deletions[0].Who != "ann" || deletions[0].Why != "retention" || !deletions[0].Scrub {
		t.Errorf("recorded is %+v; error %v", deletions, err)
	}
}

func TestRetentionThatWasCutGoesOnWhereItWas(t *testing.T) {
	var names []string
	for i := range 600 { // more than two pages
		names = append(names, fmt.Sprintf("a-%03d", i))
	}
	store, faulty, _ := aged(t, 2, names...)
	faulty.Cue(storagetest.Fault{Call: storagetest.CallDeleteStream, Skip: 300, Before: storagetest.ErrFault})
	rules := []daybook.RetentionRule{{Keep: 2}}
	report, err := daybook.Retain(t.Context(), store, rules, nil)
	if !errors.Is(err, storagetest.ErrFault) || report.Trimmed != 300 || report.After != daybook.Stream("a-299") {
		t.Fatalf("the report is %+v, the error %v", report, err)
	}
	steps := 0
	rest, err := daybook.Retain(t.Context(), store, rules, &daybook.RetainOptions{
		After:    report.After,
		Progress: func(now daybook.RetainReport) { steps++; report.After = now.After },
	})
	if err != nil || rest.Streams != 300 || rest.Trimmed != 300 || steps != 300 || report.After != daybook.Stream("a-599") {
		t.Errorf("the rest reports %+v in %d steps up to %q; error %v", rest, steps, report.After, err)
	}
	if got, want := left(t, store, "a-000", "a-299", "a-300", "a-599"), "a-000 2-3 a-299 2-3 a-300 2-3 a-599 2-3 "; got != want {
		t.Errorf("left is %s, want %s", got, want)
	}
}

func TestRulesWithoutSenseAreRefused(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	query := daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"opened"}}}}}
	for _, rules := range [][]daybook.RetentionRule{
		nil, {{}}, {{Keep: -1}}, {{MaxAge: -1}}, {{Keep: 1}, {Filter: query, Keep: 1}},
	} {
		if _, err := daybook.Retain(t.Context(), store, rules, nil); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("rules %+v were answered with %v", rules, err)
		}
	}
}
