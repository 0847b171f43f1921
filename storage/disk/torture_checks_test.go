package disk_test

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/verify"
)

// check looks at a store that was just opened: whether the log is what it may
// be, and everything else agrees with the log.
func (r *torture) check(clean bool) error {
	ctx := context.Background()
	recovery := r.driver.Recovery()
	r.notef("opened: %d segments, %d records, clean %v, cut %+v, reindexed %v", recovery.Segments, recovery.Records, recovery.Clean, recovery.Cut, recovery.Reindexed)
	if recovery.Damage != nil {
		return brokenf("damage after a crash: %v", recovery.Damage)
	}
	told, err := r.driver.Told()
	var got []daybook.Record
	if err == nil {
		got, err = gather(r.driver.ReadLog(ctx, daybook.LogRead{}))
	}
	if errors.Is(err, daybook.ErrCorrupt) {
		return brokenf("damage after a crash: %v", err)
	}
	if err != nil {
		return err
	}
	if err := r.model.recover(told, got); err != nil {
		return err
	}
	if err := errors.Join(r.model.mustBeDeletions(r.store), r.search()); err != nil {
		return err
	}
	if clean && !recovery.Clean {
		return brokenf("the store was closed and is not clean: %+v", recovery)
	}
	report, err := verify.Store(ctx, r.store, nil)
	if err != nil {
		return err
	}
	if !report.OK() && !r.mount.Struck() {
		return brokenf("verify finds: %v", report.Findings)
	}
	for range 4 {
		if err := r.read(); err != nil {
			return err
		}
	}
	if r.random.IntN(3) == 0 {
		return r.checkFiles()
	}
	return nil
}

// checkFiles checks the files as they are, on a disk of its own: no fault strikes
// there.
func (r *torture) checkFiles() error {
	report, err := disk.Check(context.Background(), tortureDir, &disk.CheckOptions{Deep: true, FS: r.disk.Copy().Mount()})
	if err != nil || !report.OK() {
		return brokenf("the check of the files finds %v, %v", report.Problems, err)
	}
	return nil
}

// checkFailed looks at a store whose append had no answer because a write
// failed: it takes no more, and still reads what it showed.
func (r *torture) checkFailed() error {
	if r.mount.Gone() != nil || !r.model.failed || !r.writesFail {
		return nil
	}
	p := proposal{append: daybook.Append{Changesets: []daybook.Changeset{{Stream: r.randomStream(), Events: r.randomEvents()}}}}
	// Without room, an append may only not have become as durable as it was to be.
	if !r.full {
		if _, err := r.give(p); !errors.Is(err, daybook.ErrFailed) {
			return brokenf("after a write that failed, an append is answered with %v", err)
		}
	}
	told, err := r.driver.Told()
	if err != nil {
		return brokenf("after a write that failed, reading fails: %v", err)
	}
	if len(told) < len(r.model.deeds) {
		return brokenf("after a write that failed, %d of %d deeds can be read", len(told), len(r.model.deeds))
	}
	if err := r.model.mustFollow(told, r.model.held()); err != nil {
		return err
	}
	h, err := r.model.after(told)
	if err != nil {
		return err
	}
	shown, err := gather(r.driver.ReadLog(context.Background(), daybook.LogRead{}))
	if err != nil {
		return brokenf("after a write that failed, reading fails: %v", err)
	}
	if err := h.mustShow(shown); err != nil {
		return err
	}
	return r.model.mustBeAnswered(told, reach{1 << 62, 1 << 62})
}

// read asks the store something, and the model the same.
func (r *torture) read() error { return r.ask(r.store, r.model.history) }

// ask asks a store something, and the history that it must have.
func (r *torture) ask(store *daybook.Store, h *history) error {
	ctx := context.Background()
	switch r.random.IntN(6) {
	case 0:
		id := r.randomStream()
		read := daybook.StreamRead{From: daybook.Version(r.random.IntN(5)), To: daybook.Version(r.random.IntN(20)), Backwards: r.random.IntN(2) == 0, Limit: r.random.IntN(10)}
		return sameSequence(fmt.Sprintf("stream %s %+v", id, read), store.ReadStream(ctx, id, read), h.store.ReadStream(ctx, id, read), differentRecords)
	case 1:
		id := r.randomStream()
		got, err := store.Head(ctx, id)
		want, _ := h.store.Head(ctx, id)
		if err == nil && got != want {
			return brokenf("the head of %s is %+v, want %+v", id, got, want)
		}
		return err
	case 2:
		claim, partition := r.randomClaim(), r.randomStream().Partition
		got, held, err := store.ClaimHolder(ctx, partition, claim)
		want, wantHeld, _ := h.store.ClaimHolder(ctx, partition, claim)
		if err == nil && (got != want || held != wantHeld) {
			return brokenf("claim %v is held by %s (%v), want %s (%v)", claim, got, held, want, wantHeld)
		}
		return err
	case 3:
		return sameStats(store, h)
	case 4:
		list := daybook.StreamList{After: r.randomStream(), Limit: r.random.IntN(5)}
		return sameSequence(fmt.Sprintf("list %+v", list), store.ListStreams(ctx, list), h.store.ListStreams(ctx, list), func(a, b *daybook.StreamHead) bool { return *a != *b })
	default:
		read := daybook.LogRead{Filter: daybook.Filter{Query: randomQuery(r.random)}, Backwards: r.random.IntN(2) == 0, Limit: r.random.IntN(10)}
		if r.random.IntN(3) == 0 {
			read.After = daybook.Position(r.random.Int64N(int64(h.end().position) + 1))
			read.Filter.StreamTypes = []string{"a", "b"}[:1+r.random.IntN(2)]
		}
		return sameSequence(fmt.Sprintf("log %+v", read), store.ReadLog(ctx, read), h.store.ReadLog(ctx, read), differentRecords)
	}
}

func sameStats(store *daybook.Store, h *history) error {
	got, err := store.Stats(context.Background())
	want, _ := h.store.Stats(context.Background())
	if got.Bytes = want.Bytes; err == nil && got != want {
		return brokenf("the statistics are %+v, want %+v", got, want)
	}
	return err
}

func differentRecords(a, b *daybook.Record) bool { return !sameRecord(a, b) }

// sameSequence returns where two sequences differ. The first may end with an
// error.
func sameSequence[T any](what string, got, want iter.Seq2[T, error], different func(a, b *T) bool) error {
	next, stop := iter.Pull2(want)
	defer stop()
	for g, err := range got {
		if err != nil {
			return err
		}
		w, _, ok := next()
		if !ok || different(&g, &w) {
			return brokenf("%s gives\n%+v, want\n%+v (there: %v)", what, g, w, ok)
		}
	}
	if w, _, ok := next(); ok {
		return brokenf("%s ends before\n%+v", what, w)
	}
	return nil
}
