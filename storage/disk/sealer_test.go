package disk

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// indexGateFS holds up, or fails, who makes an index file.
type indexGateFS struct {
	FS
	before func() error
}

func (f *indexGateFS) Create(name string) (File, error) {
	if strings.Contains(name, indexSuffix) {
		if err := f.before(); err != nil {
			return nil, err
		}
	}
	return f.FS.Create(name)
}

// appending appends n events of 64 KiB, and counts those that are there.
func appending(t *testing.T, d *Driver, n int, done *atomic.Int64) (ended chan error) {
	store := daybook.New(d, nil)
	ended = make(chan error, 1)
	go func() {
		for range n {
			if _, err := store.AppendAll(t.Context(), daybook.Append{
				Durability: daybook.DurabilityMemory,
				Changesets: []daybook.Changeset{{Stream: daybook.Stream("s"), Events: []daybook.Event{{Type: "t", Data: make([]byte, 64<<10)}}}},
			}); err != nil {
				ended <- err
				return
			}
			done.Add(1)
		}
		ended <- nil
	}()
	return ended
}

func TestAppendsWaitWhileIndexFilesAreFarBehind(t *testing.T) {
	opened := make(chan struct{})
	fsys := &indexGateFS{FS: durable.OS, before: func() error { <-opened; return nil }}
	d, err := Open(t.TempDir(), &Options{SegmentBytes: 1 << 20, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	const all = 3 * leastBehind >> 16
	var done atomic.Int64
	ended := appending(t, d, all, &done)
	for d.sealer.waiting.Load() == 0 && done.Load() < all {
		runtime.Gosched()
	}
	if n := done.Load() << 16; n < leastBehind || n > 2*leastBehind+queueBytes {
		t.Fatalf("%d bytes were appended before an append waited, want about %d", n, leastBehind)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for d.sealer.waiting.Load() < 2 {
			runtime.Gosched()
		}
		cancel()
	}()
	other := daybook.Append{Changesets: []daybook.Changeset{{Stream: daybook.Stream("other"), Events: []daybook.Event{{Type: "t"}}}}}
	if _, err := daybook.New(d, nil).AppendAll(ctx, other); !errors.Is(err, context.Canceled) {
		t.Errorf("an append whose caller goes away while it waits: %v", err)
	}
	if head, err := d.Head(t.Context(), daybook.Stream("other")); err != nil || head.Exists() {
		t.Errorf("it was stored: %+v, %v", head, err)
	}
	close(opened)
	if err := <-ended; err != nil || done.Load() != all {
		t.Errorf("%d of %d appends, %v", done.Load(), all, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestClosingEndsAppendsThatWaitForIndexFiles(t *testing.T) {
	opened := make(chan struct{})
	fsys := &indexGateFS{FS: durable.OS, before: func() error { <-opened; return nil }}
	d, err := Open(t.TempDir(), &Options{SegmentBytes: 1 << 20, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	ended := appending(t, d, 3*leastBehind>>16, &done)
	for d.sealer.waiting.Load() == 0 {
		runtime.Gosched()
	}
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	if err := <-ended; !errors.Is(err, daybook.ErrClosed) {
		t.Errorf("an append that waited when the store was closed: %v", err)
	}
	close(opened)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

func TestAppendsGoOnWhereIndexFilesCannotBeMade(t *testing.T) {
	fsys := &indexGateFS{FS: durable.OS, before: func() error { return errors.New("no space for it") }}
	d, err := Open(t.TempDir(), &Options{SegmentBytes: 1 << 20, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	if err := <-appending(t, d, 2*leastBehind>>16, &done); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
