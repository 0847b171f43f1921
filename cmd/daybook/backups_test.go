package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// backupsFor, in the environment, is how long a backup is taken every second:
// "1m". Without it a few are taken, one behind the other.
const backupsFor = "DAYBOOK_BACKUPS"

// taken is a backup.
type taken struct {
	dir   string
	least daybook.Position // was acknowledged before it began
}

func TestBackupsUnderFullWriteLoadArePrefixesOfTheLog(t *testing.T) {
	seed, long := seedOf(t), spanOf(t, backupsFor, 0)
	interval := time.Second
	if long == 0 {
		long, interval = 500*time.Millisecond, 100*time.Millisecond
	}
	dir, book := t.TempDir(), newLedger()
	server, err := startServer(dir, "file:data")
	if err != nil {
		t.Fatal(err)
	}
	defer server.kill()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	for n := range writers {
		choices := rand.New(rand.NewPCG(seed, uint64(n)))
		group.Go(func() { write(ctx, t, server.url, n, choices, book) })
	}
	book.await(t, 1)
	var backups []taken
	began := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for n := range int(long / interval) {
		<-ticker.C
		next := taken{filepath.Join(dir, fmt.Sprint("backup-", n)), book.end()}
		if n > 0 {
			linkFiles(t, backups[n-1].dir, next.dir)
		}
		if _, err := disk.Backup(t.Context(), filepath.Join(dir, "data"), next.dir, nil); err != nil {
			t.Fatalf("backup %d: %v", n+1, err)
		}
		backups = append(backups, next)
	}
	took := time.Since(began)
	stop()
	group.Wait()
	if err := server.interrupt(); err != nil {
		t.Error(err)
	}
	driver, err := disk.Open(filepath.Join(dir, "data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	records := make([]int, len(backups))
	for n, backup := range backups {
		if records[n], err = soundPrefix(t.Context(), backup, store); err != nil {
			t.Errorf("backup %d of %d: %v", n+1, len(backups), err)
		}
	}
	if !slices.IsSorted(records) || records[0] == records[len(records)-1] {
		t.Errorf("the backups hold so many records: %v", records)
	}
	t.Logf("%d backups in %s of a store to which %d appends were made meanwhile: the first has %d records, the last %d",
		len(backups), took.Round(time.Millisecond), book.count(), records[0], records[len(records)-1])
}

// linkFiles makes a backup that has the files of another, without a copy. The
// next one puts other files in the place of those that it replaces.
func linkFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Mkdir(to, 0o777); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == "LOCK" {
			continue
		}
		if err := os.Link(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// soundPrefix returns how many records a backup has, or what is wrong with it.
func soundPrefix(ctx context.Context, backup taken, store *daybook.Store) (records int, err error) {
	if err := soundCopy(ctx, backup.dir, backup.least); err != nil {
		return 0, err
	}
	driver, err := disk.Open(backup.dir, &disk.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	copied := daybook.New(driver, nil)
	records, _, err = comparePrefix(ctx, copied, store)
	return records, errors.Join(err, copied.Close())
}

// comparePrefix fails unless the log of a copy is a prefix of that of a store. It
// returns how many records it has, and whether the store has more.
func comparePrefix(ctx context.Context, copied, store *daybook.Store) (records int, more bool, err error) {
	next, stop := iter.Pull2(store.ReadLog(ctx, daybook.LogRead{Borrow: true}))
	defer stop()
	for r, err := range copied.ReadLog(ctx, daybook.LogRead{Borrow: true}) {
		if err != nil {
			return records, false, err
		}
		records++
		of, err, ok := next()
		if err != nil {
			return records, false, err
		}
		if !ok || !equalRecords(&r, &of) {
			return records, false, fmt.Errorf("record %d of the copy is\n%+v, of the store\n%+v", records, r, of)
		}
	}
	_, err, more = next()
	return records, more, err
}

func equalRecords(a, b *daybook.Record) bool {
	return a.Position == b.Position && a.Version == b.Version && a.ID == b.ID && a.Stream == b.Stream && a.Type == b.Type &&
		a.RecordedAt.Equal(b.RecordedAt) && bytes.Equal(a.Data, b.Data) && slices.Equal(a.Tags, b.Tags) &&
		a.Changeset.AppendID == b.Changeset.AppendID && a.Changeset.Number == b.Changeset.Number && a.Changeset.Ordinal == b.Changeset.Ordinal &&
		a.Changeset.First == b.Changeset.First && a.Changeset.Count == b.Changeset.Count
}
