package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// upkeepFlags are the flags that say what a server does for its store by itself.
type upkeepFlags struct {
	retain      []string
	retainEvery string
	compact     string
	compactRate int64
}

const (
	defaultCompactRate = 16 << 20
	// For each stream that a retention looks at, and each that it deletes from, it
	// lets others go first so long, a little later.
	perStream, perDeletion, retainPause = time.Millisecond, 5 * time.Millisecond, 50 * time.Millisecond
)

// allStreams stands for every stream type in --retain.
const allStreams = "*"

// upkeep is what a server does for its store beside its requests: one thing after
// the other, each slowly enough that writers do not notice.
type upkeep struct {
	store   *daybook.Store
	compact func(context.Context, *disk.CompactOptions) (disk.CompactReport, error)
	rules   []daybook.RetentionRule // none: there is no retention
	log     *slog.Logger

	retainEvery  time.Duration
	compactEvery time.Duration // 0: never
	compactRate  int64         // bytes a second

	now func() time.Time
	// wait waits until something is due, and pause to let others go first. They
	// return early with the error of ctx.
	wait, pause func(ctx context.Context, d time.Duration) error

	// carriedOut is the deletion up to which a compaction of this process has
	// removed all content.
	carriedOut daybook.DeletionNumber
}

// newUpkeep returns the upkeep that flags ask for, which may be none.
func newUpkeep(f *upkeepFlags, log *slog.Logger) (u *upkeep, err error) {
	u = &upkeep{log: log, compactRate: cmp.Or(f.compactRate, defaultCompactRate), now: time.Now, wait: sleep, pause: sleep}
	if u.rules, err = parseRetain(f.retain); err != nil {
		return nil, err
	}
	if u.retainEvery, err = parseAge("retain-every", f.retainEvery); err != nil {
		return nil, err
	}
	u.compactEvery, err = parseAge("compact", f.compact)
	return u, err
}

// of says which store is kept.
func (u *upkeep) of(driver daybook.Driver, store *daybook.Store) error {
	u.store = store
	if u.compactEvery == 0 {
		return nil
	}
	files, ok := driver.(*disk.Driver)
	if !ok {
		return usagef("--compact: the storage %s has no files to compact, only file:DIR has", driver.Name())
	}
	u.compact = files.Compact
	return nil
}

// parseRetain reads rules like session=90d, sensor=10000 and *=365d. Those of one
// type are one rule; the one of all types comes last.
func parseRetain(values []string) ([]daybook.RetentionRule, error) {
	var rules []daybook.RetentionRule
	types := map[string]int{}
	for _, value := range values {
		at := strings.LastIndexByte(value, '=')
		if at <= 0 {
			return nil, usagef("--retain %q: must be TYPE=AGE or TYPE=COUNT, like session=90d or sensor=10000", value)
		}
		streamType, kept := value[:at], value[at+1:]
		n, known := types[streamType]
		if !known {
			n = len(rules)
			types[streamType], rules = n, append(rules, daybook.RetentionRule{})
			if streamType != allStreams {
				rules[n].Filter.StreamTypes = []string{streamType}
			}
		}
		if count, err := strconv.ParseInt(kept, 10, 64); err == nil && count > 0 {
			rules[n].Keep = count
			continue
		}
		age, err := parseAge("retain", kept)
		if err != nil || age == 0 {
			return nil, usagef("--retain %q: what is kept must be an age like 90d, 12h or 30m, or a number of records above 0", value)
		}
		rules[n].MaxAge = age
	}
	slices.SortStableFunc(rules, func(a, b daybook.RetentionRule) int {
		return cmp.Compare(len(b.Filter.StreamTypes), len(a.Filter.StreamTypes))
	})
	return rules, nil
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start begins it. It returns what ends it, and waits until it has ended.
func (u *upkeep) start(ctx context.Context) (end func()) {
	if len(u.rules) == 0 && u.compact == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		u.run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// run does what is due until ctx ends: each thing at once, and then so long after
// it was done last.
func (u *upkeep) run(ctx context.Context) {
	type job struct {
		what  string
		every time.Duration
		do    func(context.Context) error
		due   time.Time
	}
	var jobs []*job
	if len(u.rules) > 0 {
		jobs = append(jobs, &job{what: "retention", every: u.retainEvery, do: u.retainOnce})
	}
	if u.compact != nil {
		jobs = append(jobs, &job{what: "compaction", every: u.compactEvery, do: u.compactOnce})
	}
	for {
		next := slices.MinFunc(jobs, func(a, b *job) int { return a.due.Compare(b.due) })
		if u.wait(ctx, max(0, next.due.Sub(u.now()))) != nil {
			return
		}
		err := next.do(ctx)
		if ctx.Err() != nil || errors.Is(err, daybook.ErrClosed) {
			return
		}
		if err != nil {
			u.log.Error(next.what+" failed; it is tried again", "after", next.every, "error", err)
		}
		next.due = u.now().Add(next.every)
	}
}

// retainOnce holds the streams to the rules.
func (u *upkeep) retainOnce(ctx context.Context) error {
	begun := u.now()
	var seen daybook.RetainReport
	var owed time.Duration
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	report, err := daybook.Retain(ctx, u.store, u.rules, &daybook.RetainOptions{
		Who: "daybook serve", Now: u.now,
		Progress: func(r daybook.RetainReport) {
			owed += time.Duration(r.Streams-seen.Streams)*perStream + time.Duration(r.Trimmed+r.Emptied-seen.Trimmed-seen.Emptied)*perDeletion
			if seen = r; owed >= retainPause {
				if u.pause(ctx, owed) != nil {
					cancel()
				}
				owed = 0
			}
		},
	})
	u.done("retention", err == nil && report.Records > 0, begun, "streams", report.Streams, "trimmed", report.Trimmed,
		"emptied", report.Emptied, "records", report.Records)
	return err
}

// compactOnce removes the content of what was deleted since the last time.
func (u *upkeep) compactOnce(ctx context.Context) error {
	begun := u.now()
	free := begun // when what was read and written so far has had its time
	report, err := u.compact(ctx, &disk.CompactOptions{
		After: u.carriedOut,
		Pace: func(ctx context.Context, bytes int64) error {
			free = free.Add(time.Duration(float64(bytes) / float64(u.compactRate) * float64(time.Second)))
			if early := free.Sub(u.now()); early > 0 {
				return u.pause(ctx, early)
			}
			free = u.now()
			return nil
		},
	})
	if err == nil {
		u.carriedOut = report.LastDeletion
	}
	u.done("compaction", err == nil && report.Segments > 0, begun, "segments", report.Segments, "changesets", report.Changesets,
		"bytes", report.Bytes, "last_deletion", report.LastDeletion)
	return err
}

// done logs what was done; that there was nothing to do only for those who ask for
// everything.
func (u *upkeep) done(what string, something bool, begun time.Time, attributes ...any) {
	level := slog.LevelDebug
	if something {
		level = slog.LevelInfo
	}
	u.log.Log(context.Background(), level, what+" done", append(attributes, "took", u.now().Sub(begun))...)
}
