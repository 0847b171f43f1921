package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/verify"
)

// soakFor, in the environment, is how long the server is soaked: "10m". Without
// it a few seconds; see make soak.
const soakFor = "DAYBOOK_SOAK"

// soak is a server under everything at once: writers, appends that only one of
// several may win, readers, one who follows, backups, and kills.
type soak struct {
	t    *testing.T
	dir  string
	seed uint64
	book *ledger

	followed []daybook.Position // by the one who follows, over all lives
	won      map[string]int     // turns, by tag, and how often each was won
	wonBy    sync.Mutex

	kills, backups int
	reads, raced   atomic.Int64
	peak           int64 // resident memory of the server, in kB
}

func TestServerThatIsSoakedKeepsEverythingAndTellsItInOrder(t *testing.T) {
	long := 4 * time.Second
	if text := os.Getenv(soakFor); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	s := &soak{t: t, dir: t.TempDir(), seed: seed, book: newLedger(), won: map[string]int{}}
	random := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	for time.Since(began) < long && !t.Failed() {
		s.live(random, long)
	}
	took := time.Since(began)
	if t.Failed() {
		return
	}
	sendAgain(t, s.dir, s.book)
	records := s.settle()
	t.Logf("%s: %d records, %d appends acknowledged, %d kills, %d backups, %d reads, %d turns raced for, %.0f appends a second, at most %d MiB resident in the server",
		took.Round(time.Second), records, s.book.count(), s.kills, s.backups, s.reads.Load(), s.raced.Load(), float64(s.book.count())/took.Seconds(), s.peak>>10)
}

// live starts the server, works with it, and kills it.
func (s *soak) live(random *rand.Rand, long time.Duration) {
	s.t.Helper()
	server, err := startServer(s.dir, "file:data")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	for n := range 4 {
		choices := rand.New(rand.NewPCG(s.seed, uint64(s.kills*10+n)))
		group.Go(func() { write(ctx, s.t, server.url, n, choices, s.book) })
	}
	for range 2 {
		choices := rand.New(rand.NewPCG(random.Uint64(), 1))
		s.with(&group, server.url, func(store *daybook.Store) { s.race(ctx, store, choices) })
	}
	reading := random.Uint64()
	s.with(&group, server.url, func(store *daybook.Store) { s.read(ctx, store, reading) })
	s.with(&group, server.url, func(store *daybook.Store) { s.follow(ctx, store) })
	group.Go(func() { s.backUp(ctx) })
	// The longer the soak, the longer the lives.
	life := 200*time.Millisecond + time.Duration(random.Int64N(int64(max(long/30, time.Second))))
	select {
	case <-time.After(min(life, 20*time.Second)):
	case <-ctx.Done():
	}
	s.peak = max(s.peak, residentOf(server.command.Process.Pid))
	server.kill()
	stop()
	group.Wait()
	s.kills++
}

// with does something with a store behind the server.
func (s *soak) with(group *sync.WaitGroup, url string, do func(*daybook.Store)) {
	group.Go(func() {
		driver, err := remote.Open(url, &remote.Options{Retries: -1})
		if err != nil {
			s.t.Error(err)
			return
		}
		store := daybook.New(driver, nil)
		do(store)
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

// race appends for turns that only one may win: the condition is that nobody
// has.
func (s *soak) race(ctx context.Context, store *daybook.Store, random *rand.Rand) {
	for ctx.Err() == nil {
		tag := fmt.Sprintf("turn:%d-%d", s.kills, random.IntN(2000))
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{
			Stream: daybook.Stream("turns-1"), Events: []daybook.Event{{Type: "won", Tags: []string{tag}, Data: []byte("{}")}},
		}}}
		a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{tag}}}}}
		s.book.send(a.ID, 1)
		s.raced.Add(1)
		receipt, err := store.AppendAll(ctx, a)
		switch {
		case err == nil:
			s.book.acknowledge(receipt)
			s.wonBy.Lock()
			s.won[tag]++
			s.wonBy.Unlock()
		case errors.Is(err, daybook.ErrConflict):
		case errors.Is(err, syscall.ECONNREFUSED):
			return // the server was killed, and its writers hear of it later
		case errors.Is(err, daybook.ErrRefused) && ctx.Err() == nil:
			s.t.Errorf("turn %s: %v", tag, err)
			return
		default:
			return // the server is gone; a turn need not be won
		}
	}
}

// read reads streams, back and forth.
func (s *soak) read(ctx context.Context, store *daybook.Store, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	for ctx.Err() == nil {
		before := daybook.Version(0)
		backwards := random.IntN(2) == 0
		for r, err := range store.ReadStream(ctx, daybook.Stream(fmt.Sprint("writer-", random.IntN(4))), daybook.StreamRead{Backwards: backwards, Limit: 500}) {
			if err != nil {
				if errors.Is(err, daybook.ErrCorrupt) {
					s.t.Error(err)
				}
				return
			}
			if before > 0 && !backwards && r.Version != before+1 || before > 0 && backwards && r.Version != before-1 {
				s.t.Errorf("stream %s: version %d comes behind %d", r.Stream, r.Version, before)
				return
			}
			before = r.Version
		}
		s.reads.Add(1)
	}
}

// follow goes on where the life before has ended.
func (s *soak) follow(ctx context.Context, store *daybook.Store) {
	var after daybook.Position
	if n := len(s.followed); n > 0 {
		after = s.followed[n-1]
	}
	for r, err := range store.Follow(ctx, daybook.LogRead{After: after}) {
		if err != nil {
			return // the server is gone
		}
		s.followed = append(s.followed, r.Position)
	}
}

// backUp copies the files of the running store, into a directory of its own
// each time, and looks whether the copy is one.
func (s *soak) backUp(ctx context.Context) {
	target := filepath.Join(s.t.TempDir(), "backup")
	if _, err := disk.Backup(ctx, filepath.Join(s.dir, "data"), target, nil); err != nil {
		if ctx.Err() == nil {
			s.t.Errorf("backup: %v", err)
		}
		return
	}
	defer os.RemoveAll(target)
	driver, err := disk.Open(target, &disk.Options{ReadOnly: true})
	if err != nil {
		s.t.Errorf("backup: %v", err)
		return
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	report, err := verify.Store(ctx, store, nil)
	if ctx.Err() != nil {
		return
	}
	if err != nil || !report.OK() {
		s.t.Errorf("backup: %v, %v", report.Findings, err)
	}
	s.backups++
}

// settle compares what is left with what everybody saw, and returns how many
// records there are.
func (s *soak) settle() int {
	s.t.Helper()
	check(s.t, s.dir+"/data", s.book) // it ends with verify
	driver, err := disk.Open(s.dir+"/data", &disk.Options{ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	records := 0
	turns := map[string]int{}
	for r, err := range store.ReadLog(s.t.Context(), daybook.LogRead{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		if records < len(s.followed) && s.followed[records] != r.Position {
			s.t.Fatalf("who followed was told position %d where the log has %d", s.followed[records], r.Position)
		}
		records++
		if r.Type == "won" {
			turns[r.Tags[0]]++
		}
	}
	if len(s.followed) > records {
		s.t.Errorf("who followed was told %d records, the log has %d", len(s.followed), records)
	}
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

// residentOf returns how much memory a process has, in kB; 0 where the system
// does not tell.
func residentOf(pid int) (kB int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // of another system there is none
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, _ = strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return kB
}
