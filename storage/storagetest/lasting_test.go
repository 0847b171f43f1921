package storagetest

import (
	"context"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// lasting is a driver whose data outlives it: it can be opened again, as a
// copy.
type lasting struct {
	*bent
	clock time.Time // of what is made anew while it opens; zero is now

	mu      sync.Mutex // held by writes and by closing; guards all below
	written []written
	left    []daybook.RecordedChangeset // what could be read when it was closed
}

// written is something that was stored: changesets or a deletion.
type written struct {
	changesets []daybook.RecordedChangeset
	deletion   daybook.Deletion
	at         time.Time // of the deletion
}

func newLasting() *lasting {
	l := &lasting{}
	l.bent = &bent{Driver: memory.New(&memory.Options{Now: func() time.Time {
		if l.clock.IsZero() {
			return time.Now()
		}
		return l.clock
	}})}
	return l
}

// openLasting gives a driver on an empty store, and what opens it again. Where
// change is given, what is found then is what could be read, as change bends
// it.
func openLasting(change func(changesets []daybook.RecordedChangeset) []daybook.RecordedChangeset) func() (daybook.Driver, func() daybook.Driver) {
	return func() (daybook.Driver, func() daybook.Driver) {
		open := newLasting()
		return open, func() daybook.Driver {
			before := open
			open = newLasting()
			if change == nil {
				open.replay(before.written)
			} else if err := open.Driver.Import(context.Background(), change(before.left)); err != nil {
				panic(err)
			}
			return open
		}
	}
}

// replay stores all that another has stored, in the same order.
func (l *lasting) replay(all []written) {
	l.written = all
	for _, w := range all {
		var err error
		if w.changesets != nil {
			err = l.Driver.Import(context.Background(), w.changesets)
		} else {
			l.clock = w.at
			_, err = l.Driver.DeleteStream(context.Background(), w.deletion)
			l.clock = time.Time{}
		}
		if err != nil {
			panic(err)
		}
	}
}

func (l *lasting) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	receipt, err := l.Driver.Append(ctx, a)
	if err == nil && !receipt.Repeated {
		var w written
		read := daybook.LogRead{After: receipt.Changesets[0].FirstPosition - 1, To: receipt.Position()}
		for c, err := range daybook.Changesets(l.Driver.ReadLog(context.Background(), read)) {
			if err != nil {
				panic(err)
			}
			w.changesets = append(w.changesets, c)
		}
		l.written = append(l.written, w)
	}
	return receipt, err
}

func (l *lasting) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.Driver.Import(ctx, changesets)
	if err == nil {
		l.written = append(l.written, written{changesets: changesets})
	}
	return err
}

func (l *lasting) DeleteStream(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	receipt, err := l.Driver.DeleteStream(ctx, d)
	if err == nil && !receipt.Repeated {
		d.Expect = daybook.ExpectAny()
		l.written = append(l.written, written{deletion: d, at: receipt.RecordedAt})
	}
	return receipt, err
}

func (l *lasting) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, err := range daybook.Changesets(l.Driver.ReadLog(context.Background(), daybook.LogRead{})) {
		if err == nil { // closed before
			l.left = append(l.left, c)
		}
	}
	return l.Driver.Close()
}
