package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/verify"
)

// What is left of a soaked store in the end, compared with what everybody saw.

func storeBehind(t *testing.T, url string) *daybook.Store {
	t.Helper()
	driver, err := remote.Open(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return daybook.New(driver, nil)
}

// settle returns how many records there are.
func (s *soak) settle() (records int) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "data")
	driver, err := disk.Open(dir, &disk.Options{SegmentBytes: soakSegmentBytes})
	if err != nil {
		s.t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	report, err := verify.Store(s.t.Context(), store, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, finding := range report.Findings {
		s.t.Errorf("verify: %s", finding)
	}
	records = s.compare(store)
	s.wantDeletions(store)
	for _, h := range s.hotels {
		h.wantGuests(store)
	}
	if _, err := driver.Compact(s.t.Context(), nil); err != nil {
		s.t.Errorf("the last compaction: %v", err)
	}
	s.wantBackup(store)
	if err := store.Close(); err != nil {
		s.t.Error(err)
	}
	s.wantNoSecret(dir)
	for _, dir := range []string{dir, filepath.Join(s.dir, "backup")} {
		if report, err := disk.Check(s.t.Context(), dir, &disk.CheckOptions{Deep: true}); err != nil || !report.OK() {
			s.t.Errorf("check of %s: %+v, %v", dir, report.Problems, err)
		}
	}
	return records
}

// standing is a changeset as it stands in the log.
type standing struct {
	stream daybook.StreamID
	first  daybook.Position
}

// compare looks for everything that was acknowledged, or told to who follows.
func (s *soak) compare(store *daybook.Store) (records int) {
	s.t.Helper()
	stored := map[daybook.ID]int{}
	there := map[standing]bool{}
	turns := map[string]int{}
	at := 0 // in followed
	for r, err := range store.ReadLog(s.t.Context(), daybook.LogRead{Borrow: true}) {
		if err != nil {
			s.t.Fatal(err)
		}
		records++
		stored[r.Changeset.AppendID]++
		if r.Version == r.Changeset.First {
			there[standing{r.Stream, r.Position}] = true
		}
		if r.Type == "won" {
			turns[r.Tags[0]]++
		}
		for at < len(s.followed) && s.followed[at].position < r.Position {
			s.wantGone(store, s.followed[at])
			at++
		}
		if at < len(s.followed) {
			if s.followed[at].position != r.Position {
				s.t.Fatalf("who followed was told of position %d behind %d, the log has %d there", s.followed[at].position, r.Position-1, r.Position)
			}
			at++
		}
	}
	for ; at < len(s.followed); at++ {
		s.wantGone(store, s.followed[at])
	}
	s.wantAcknowledged(store, stored, there)
	for tag, n := range turns {
		if n > 1 || s.won[tag] > 1 {
			s.t.Errorf("%s was won %d times, and %d were told so", tag, n, s.won[tag])
		}
	}
	for tag := range s.won {
		if turns[tag] == 0 {
			s.t.Errorf("%s was won, and is not there", tag)
		}
	}
	return records
}

// wantGone fails unless a record that somebody was told of was deleted.
func (s *soak) wantGone(store *daybook.Store, f followed) {
	s.t.Helper()
	if head := s.headOf(store, f.stream); f.version >= head.First {
		s.t.Fatalf("who followed was told of version %d of %s at position %d, which is not there; the stream is %+v", f.version, f.stream, f.position, head)
	}
}

func (s *soak) headOf(store *daybook.Store, id daybook.StreamID) daybook.Head {
	s.t.Helper()
	head, err := store.Head(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return head
}

// wantAcknowledged fails unless each changeset that was acknowledged stands where
// its receipt says, or was deleted; and nothing else is there.
func (s *soak) wantAcknowledged(store *daybook.Store, stored map[daybook.ID]int, there map[standing]bool) {
	s.t.Helper()
	heads := map[daybook.StreamID]daybook.Head{}
	for id, receipt := range s.book.acknowledged {
		for _, c := range receipt.Changesets {
			head, known := heads[c.Stream]
			if !known {
				head = s.headOf(store, c.Stream)
				heads[c.Stream] = head
			}
			if here := there[standing{c.Stream, c.FirstPosition}]; here != (c.Last >= head.First) {
				s.t.Errorf("append %s was acknowledged as %+v; that it is there is %v, and the stream is %+v", id, c, here, head)
			}
			if c.Last >= head.First {
				stored[id] -= int(c.Last-c.First) + 1
			}
		}
		if stored[id] != 0 {
			s.t.Errorf("append %s has %d records more than were acknowledged", id, stored[id])
		}
		delete(stored, id)
	}
	for id, n := range stored { // turns whose outcome nobody asked for
		if s.book.refused[id] || n != s.book.sent[id] {
			s.t.Errorf("append %s has %d records in the store, was sent with %d, and refused: %v", id, n, s.book.sent[id], s.book.refused[id])
		}
	}
}

// wantDeletions fails unless retention has taken what it may, and nothing more.
func (s *soak) wantDeletions(store *daybook.Store) {
	s.t.Helper()
	byHotel := map[string]int64{}
	for d, err := range store.ReadDeletions(s.t.Context(), daybook.DeletionRead{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		byHotel[d.Who]++
		if keep := soakKeeps[d.Stream.Type()]; d.Why == "retention" && (keep == 0 || d.Receipt.Through > s.headOf(store, d.Stream).Version-daybook.Version(keep)) {
			s.t.Errorf("retention keeps %d records of %s, and has deleted through version %d", keep, d.Stream, d.Receipt.Through)
		}
	}
	for _, h := range s.hotels {
		if byHotel[h.partition] != h.deletions {
			s.t.Errorf("%d deletions of %s are recorded, %d were acknowledged", byHotel[h.partition], h.partition, h.deletions)
		}
	}
}

// wantBackup takes the last backup into the one that was taken all the time, and
// compares it with the store.
func (s *soak) wantBackup(store *daybook.Store) {
	s.t.Helper()
	target := filepath.Join(s.dir, "backup")
	if _, err := disk.Backup(s.t.Context(), filepath.Join(s.dir, "data"), target, nil); err != nil {
		s.t.Fatal(err)
	}
	driver, err := disk.Open(target, &disk.Options{ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	copied := daybook.New(driver, nil)
	defer copied.Close()
	if _, behind, err := comparePrefix(s.t.Context(), copied, store); err != nil || behind {
		s.t.Errorf("the last backup: %v; that it is behind the store is %v", err, behind)
	}
}

// wantNoSecret searches the files of the store for what was to be removed.
func (s *soak) wantNoSecret(dir string) {
	s.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			s.t.Fatal(err)
		}
		if at := bytes.Index(data, []byte(secretMark)); at >= 0 {
			s.t.Errorf("%s holds at %d what was to be removed", entry.Name(), at)
		}
	}
}
