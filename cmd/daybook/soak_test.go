package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

const soakSegmentBytes = 1 << 20

// soak is a server under everything at once: writers, appends that only one of
// several may win, streams that come and go with their claims, readers, one who
// follows, retention, compaction, backups, a disk that is full now and then, and
// kills.
type soak struct {
	t    *testing.T
	dir  string
	seed uint64
	book *ledger

	hotels   []*hotel
	followed []followed // by the one who follows, over all lives
	names    map[daybook.StreamID]daybook.StreamID
	won      map[string]int // turns, by tag, and how often each was won
	wonBy    sync.Mutex

	lives, kills, full            int
	compacted                     int
	backups, copies, reads, raced atomic.Int64
	retained                      atomic.Int64
	peak                          int64 // resident memory of the server, in kB
}

// followed is a record that who follows was told of.
type followed struct {
	position daybook.Position
	version  daybook.Version
	stream   daybook.StreamID
}

func TestServerThatIsSoakedKeepsEverythingAndTellsItInOrder(t *testing.T) {
	seed, long := seedOf(t), spanOf(t, soakFor, 4*time.Second)
	s := &soak{t: t, dir: t.TempDir(), seed: seed, book: newLedger(), won: map[string]int{}, names: map[daybook.StreamID]daybook.StreamID{}}
	for n := range 2 {
		s.hotels = append(s.hotels, newHotel(s, n))
	}
	random := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { s.backUp(ctx) })
	for time.Since(began) < long && !t.Failed() {
		s.live(random, long)
		s.between(random)
	}
	stop()
	keeping.Wait()
	took := time.Since(began)
	if t.Failed() {
		return
	}
	s.makeRoom()
	s.checkOut()
	sendAgain(t, s.dir, s.book)
	records := s.settle()
	t.Logf("%s: %d records left, %d appends acknowledged, %d refused by a full disk, %d kills in %d lives, the disk was full %d times",
		took.Round(time.Second), records, s.book.count(), len(s.book.refused), s.kills, s.lives, s.full)
	t.Logf("%d backups of which %d were whole copies, %d retentions, %d compactions beside a killed server, %d guests, %d reads, %d turns raced for",
		s.backups.Load(), s.copies.Load(), s.retained.Load(), s.compacted, s.guests(), s.reads.Load(), s.raced.Load())
	t.Logf("%.0f appends a second, at most %d MiB resident in the server", float64(s.book.count())/took.Seconds(), s.peak>>10)
}

// live starts the server, works with it, and ends it.
func (s *soak) live(random *rand.Rand, long time.Duration) {
	s.t.Helper()
	server, err := start(s.dir, exec.Command(triedName, strconv.Itoa(soakSegmentBytes), "1s"))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	for n := range 4 {
		choices := rand.New(rand.NewPCG(s.seed, uint64(s.lives*10+n)))
		group.Go(func() { write(ctx, s.t, server.url, n, choices, s.book) })
	}
	for range 2 {
		choices := rand.New(rand.NewPCG(random.Uint64(), 1))
		life := s.lives
		s.with(&group, server.url, func(store *daybook.Store) { s.race(ctx, store, life, choices) })
	}
	for _, h := range s.hotels {
		choices := rand.New(rand.NewPCG(random.Uint64(), 3))
		s.with(&group, server.url, func(store *daybook.Store) { h.run(ctx, store, choices) })
	}
	reading := random.Uint64()
	s.with(&group, server.url, func(store *daybook.Store) { s.read(ctx, store, reading) })
	s.with(&group, server.url, func(store *daybook.Store) { s.follow(ctx, store) })
	s.with(&group, server.url, func(store *daybook.Store) { s.retain(ctx, store) })
	// The longer the soak, the longer the lives.
	life := min(200*time.Millisecond+time.Duration(random.Int64N(int64(max(long/30, time.Second)))), 20*time.Second)
	_ = pause(ctx, life/2)
	s.makeRoom() // what the life before may have left full
	if random.IntN(3) == 0 {
		s.full++
		if err := os.WriteFile(filepath.Join(s.dir, "FULL"), nil, 0o666); err != nil {
			s.t.Error(err)
		}
		_ = pause(ctx, 300*time.Millisecond)
		if random.IntN(3) > 0 { // else the next one begins with a full disk
			s.makeRoom()
		}
	}
	_ = pause(ctx, life/2)
	s.peak = max(s.peak, residentOf(server.command.Process.Pid))
	if random.IntN(4) == 0 {
		if err := server.interrupt(); err != nil {
			s.t.Errorf("the server was interrupted, and ended with %v", err)
		}
	} else {
		server.kill()
		s.kills++
	}
	stop()
	group.Wait()
	s.lives++
	server.wantNoError(s.t)
}

func (s *soak) makeRoom() {
	if err := os.Remove(filepath.Join(s.dir, "FULL")); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Error(err)
	}
}

// between does what an operator does while no server runs. It may be killed too.
func (s *soak) between(random *rand.Rand) {
	switch random.IntN(4) {
	case 0:
		run(s.t, s.dir, "compact", "--store", "file:data")
		s.compacted++
	case 1:
		killAfter(s.t, s.dir, []string{"compact", "--store", "file:data"}, filepath.Join(s.dir, "data"), random.Int64N(2<<20))
	case 2:
		run(s.t, s.dir, "verify", "--quick", "--store", "file:data")
	}
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

// backUp copies the files of the store, again and again, whether a server runs
// or not: into one directory, and now and then into another. Each copy is opened
// and verified, and must reach what was acknowledged before.
func (s *soak) backUp(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		target := filepath.Join(s.dir, "backup")
		if n%5 == 4 {
			target = filepath.Join(s.dir, "copy")
		}
		if _, err := os.Stat(filepath.Join(s.dir, "data", "daybook.json")); err != nil {
			_ = pause(ctx, 10*time.Millisecond) // the first server has not made it yet
			continue
		}
		least := s.book.end()
		_, err := disk.Backup(ctx, filepath.Join(s.dir, "data"), target, nil)
		if err == nil {
			err = soundCopy(ctx, target, least)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.t.Errorf("backup %d: %v", n+1, err)
			return
		}
		s.backups.Add(1)
		if n%5 == 4 {
			s.copies.Add(1)
			if err := os.RemoveAll(target); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// soundCopy returns what is wrong with a copy of a store, which must reach a
// position.
func soundCopy(ctx context.Context, dir string, least daybook.Position) error {
	driver, err := disk.Open(dir, &disk.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	report, err := verify.Store(ctx, store, nil)
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("verify: %v", report.Findings)
	}
	if end, err := store.End(ctx); err != nil || end < least {
		return fmt.Errorf("the copy ends at position %d (%w), and %d was acknowledged before", end, err, least)
	}
	return nil
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
