package daybook_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// remove deletes from a stream, and must succeed.
func remove(t *testing.T, store *daybook.Store, d daybook.Deletion) daybook.DeletionReceipt {
	t.Helper()
	receipt, err := store.DeleteStream(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func TestAConflictThatMissedDeletedRecordsIsIncomplete(t *testing.T) {
	for _, c := range []struct {
		through    daybook.Version
		expect     daybook.Expect
		missed     int
		incomplete bool
	}{
		{0, daybook.ExpectVersion(1), 3, false},
		{0, daybook.ExpectNone(), 4, false},
		{2, daybook.ExpectNone(), 2, true},
		{2, daybook.ExpectVersion(1), 2, true},
		{2, daybook.ExpectVersion(2), 2, false},
		{2, daybook.ExpectChangeset(1), 2, true},
		{2, daybook.ExpectChangeset(2), 2, false},
		{2, daybook.ExpectChangeset(3), 1, false},
		{5, daybook.ExpectVersion(3), 0, true},
		{5, daybook.ExpectChangeset(2), 0, true},
	} {
		store := daybook.New(memory.New(nil), nil)
		for _, kind := range []string{"a", "b", "c", "d"} {
			types := []string{kind}
			if kind == "d" {
				types = []string{"d", "d"}
			}
			add(t, store, account, types...)
		}
		if c.through > 0 {
			remove(t, store, daybook.Deletion{Stream: account, Through: c.through})
		}
		refused := conflict(t, store, c.expect)
		if len(refused.Missed) != c.missed || refused.Incomplete != c.incomplete {
			t.Errorf("through %d, expecting %s: %d changesets missed, incomplete %t; want %d, %t",
				c.through, c.expect, len(refused.Missed), refused.Incomplete, c.missed, c.incomplete)
		}
		if refused.Ahead() {
			t.Errorf("through %d, expecting %s: the conflict says that more was expected than the stream ever had", c.through, c.expect)
		}
	}
}

func TestWhatADeletionAsksForIsChecked(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	for field, d := range map[string]daybook.Deletion{
		"stream_id": {},
		"through":   {Stream: account, Through: -1},
		"expect":    {Stream: account, Expect: daybook.ExpectVersion(-1)},
		"who":       {Stream: account, Who: strings.Repeat("a", daybook.MaxTextLen+1)},
		"why":       {Stream: account, Why: "\x00"},
	} {
		_, err := store.DeleteStream(t.Context(), d)
		if !errors.Is(err, daybook.ErrInvalid) || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("a wrong %s was answered with %v", field, err)
		}
	}
	for field, read := range map[string]daybook.DeletionRead{
		"after": {After: -1}, "limit": {Limit: -1}, "stream_id": {Stream: daybook.StreamID{Partition: "p"}},
	} {
		_, err := gather(store.ReadDeletions(t.Context(), read))
		if !errors.Is(err, daybook.ErrInvalid) || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("a read with a wrong %s was answered with %v", field, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.DeleteStream(ended, daybook.Deletion{Stream: account}); !errors.Is(err, daybook.ErrRefused) || !errors.Is(err, context.Canceled) {
		t.Errorf("a deletion whose context has ended was answered with %v", err)
	}
}

func TestADriverThatCannotDeleteIsNamed(t *testing.T) {
	store := daybook.New(bare{memory.New(nil)}, nil)
	_, deleting := store.DeleteStream(t.Context(), daybook.Deletion{Stream: account})
	_, reading := gather(store.ReadDeletions(t.Context(), daybook.DeletionRead{}))
	_, retaining := daybook.Retain(t.Context(), store, []daybook.RetentionRule{{Keep: 1}}, nil)
	for _, err := range []error{deleting, reading, retaining} {
		var unsupported *daybook.UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Driver != "memory" {
			t.Errorf("the answer is %v, want an *UnsupportedError that names the driver", err)
		}
	}
}

func TestHooksWatchDeletions(t *testing.T) {
	type key struct{}
	var ended []daybook.DeletionEnd
	clock := time.Unix(0, 0)
	store := daybook.New(memory.New(nil), &daybook.Options{
		Now: func() time.Time { clock = clock.Add(time.Second); return clock },
		Hooks: daybook.Hooks{
			DeletionStart: func(ctx context.Context, d daybook.Deletion) context.Context {
				return context.WithValue(ctx, key{}, d.ID)
			},
			DeletionEnd: func(ctx context.Context, end daybook.DeletionEnd) {
				if ctx.Value(key{}) != end.Deletion.ID {
					t.Errorf("the end was told with another context than the start gave")
				}
				ended = append(ended, end)
			},
		},
	})
	add(t, store, account, "opened")
	receipt := remove(t, store, daybook.Deletion{Stream: account})
	_, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: account, Expect: daybook.ExpectExists()})
	if len(ended) != 2 || ended[0].Receipt != receipt || ended[0].Err != nil || ended[1].Err != err || err == nil {
		t.Fatalf("told were %+v; the receipt was %+v, the error %v", ended, receipt, err)
	}
	if ended[0].Deletion.ID == (daybook.ID{}) || ended[0].Took != time.Second {
		t.Errorf("told was deletion %s, which took %s", ended[0].Deletion.ID, ended[0].Took)
	}
}
