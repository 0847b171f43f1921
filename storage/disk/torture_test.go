package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
)

// torture is a store on a simulated disk that lives through several crashes,
// and a model of what must be in it. A seed decides everything but how the
// goroutines of the store interleave.
type torture struct {
	random *rand.Rand
	disk   *simulated.Disk
	order  simulated.Order
	wrap   func(disk.FS) disk.FS // what stands between the store and the disk; nil is nothing
	// calm is set where only the machine fails: no single call does.
	calm         bool
	full         bool // the disk may be full in this life, or seem so
	writesFail   bool // what fails in this life is a write, of some kind
	lasting      bool // it fails each time
	aims         bool // it fails while the store is compacted
	segmentBytes int64
	lax          bool // most appends ask for less than the disk
	large        bool // events are so large that room is made ahead
	direct       bool // the file system writes past the page cache, and some appends are large enough for that
	now          time.Time

	model  *model
	mount  *simulated.Mount
	pauses atomic.Uint32 // of eight calls so many let others go on first
	calls  atomic.Uint32
	driver *disk.Driver
	store  *daybook.Store
	reader *anotherReader // nil: there is none

	steps    []string     // what was done, for the report of a failure
	compacts func() error // waits for a compaction that runs beside the end of this life; nil: there is none
	counts
}

// counts are of what was done to a tortured store.
type counts struct {
	crashes,
	kills,
	faults,
	deletions,
	compactions, // that removed something
	cutOff, // compactions that did not end well
	directWrites int
}

func (c *counts) add(other counts) {
	c.crashes += other.crashes
	c.kills += other.kills
	c.faults += other.faults
	c.deletions += other.deletions
	c.compactions += other.compactions
	c.cutOff += other.cutOff
	c.directWrites += other.directWrites
}

// String shows the counts on one line.
func (c counts) String() string {
	return fmt.Sprintf("%d crashes, %d kills, %d faults, %d deletions, %d compactions and %d that were cut off, %d writes past the page cache",
		c.crashes, c.kills, c.faults, c.deletions, c.compactions, c.cutOff, c.directWrites)
}

// tortureDir is where the store stands on the simulated disk.
const tortureDir = "/store"

func newTorture(seed uint64) *torture {
	random := rand.New(rand.NewPCG(seed, 0xda1b00c))
	r := &torture{
		random: random, disk: simulated.New(), order: simulated.Order(random.IntN(2)),
		segmentBytes: int64(1)<<10 + random.Int64N(8<<10), now: time.UnixMicro(1_700_000_000_000_000).UTC(),
	}
	if random.IntN(2) == 0 {
		r.wrap = func(fs disk.FS) disk.FS { return struct{ disk.FS }{fs} } // it cannot write past the page cache
	}
	r.lax = random.IntN(3) == 0
	if random.IntN(8) == 0 {
		r.large, r.segmentBytes = true, 256<<10+random.Int64N(256<<10)
	}
	r.direct = random.IntN(2) == 0
	r.model = newModel()
	return r
}

// broken says that the store did not keep its word. Every other error is one
// that a call of the file system answered.
type broken struct{ what string }

func (e *broken) Error() string { return e.what }

func brokenf(format string, args ...any) error { return &broken{fmt.Sprintf(format, args...)} }

func (r *torture) notef(format string, args ...any) {
	r.steps = append(r.steps, fmt.Sprintf(format, args...))
}

// run lives the lives. It returns what was broken.
func (r *torture) run(lives int) error {
	defer r.abandon()
	for life := range lives {
		last := life == lives-1
		r.notef("life %d", life)
		err := r.live(last)
		if err == nil {
			continue
		}
		if errors.As(err, new(*broken)) {
			return err
		}
		return brokenf("without a fault: %v", err)
	}
	return nil
}

// abandon ends the goroutines of a store that was left in the middle.
func (r *torture) abandon() {
	if r.driver != nil {
		r.mount.Kill()
		_ = r.driver.Close()
	}
	_ = r.endReader()
}

// live opens the store, works, and ends in one of the ways in which a life
// ends. The last life has no faults.
func (r *torture) live(last bool) error {
	r.disk.SetCapacity(0)
	r.full, r.writesFail, r.lasting = false, false, false
	var faults []*simulated.Fault
	switch r.aims = !last && r.random.IntN(4) == 0; {
	case r.aims:
		r.notef("a compaction is aimed at")
	case !last:
		faults = r.chooseFaults()
	}
	clean := r.model.clean && len(faults) == 0 && !r.full
	if err := r.open(faults); err != nil {
		return r.excused(err)
	}
	short := r.random.IntN(5) == 0 || len(r.model.doubtful) > 0 && r.random.IntN(2) == 0
	err := r.check(clean)
	if err == nil {
		err = r.retryDoubtful()
	}
	steps := 3 + r.random.IntN(20)
	if short {
		steps = 0 // what was recovered, and answered again, is all that there is
	}
	for n := steps; n > 0 && err == nil; n-- {
		err = r.step()
		if r.random.IntN(5) > 0 {
			synctest.Wait() // what runs in the background comes to an end
		}
	}
	if err != nil && r.excused(err) == nil {
		err = r.checkFailed()
	}
	if err == nil && r.random.IntN(6) == 0 {
		r.compactToTheEnd()
	}
	return r.excused(errors.Join(err, r.end(last && err == nil)))
}

// excused returns err, unless it is what a fault explains.
func (r *torture) excused(err error) error {
	if err == nil || errors.As(err, new(*broken)) || !r.mount.Struck() && r.mount.Gone() == nil && !r.full {
		return err
	}
	r.notef("excused: %v", err)
	return nil
}

// open opens the store on a new mount.
func (r *torture) open(faults []*simulated.Fault) (err error) {
	if err := r.search(); err != nil {
		return err
	}
	if r.random.IntN(6) == 0 && r.model.known {
		if err := r.checkFiles(); err != nil {
			return err
		}
	}
	if err := r.readByNobodyBeside(); err != nil {
		return err
	}
	r.mount = r.disk.Mount(faults...)
	r.mount.Pause = r.pause
	var fs disk.FS = r.mount
	if !r.direct {
		fs = cachedFS{fs}
	}
	if r.wrap != nil {
		fs = r.wrap(fs)
	}
	if r.random.IntN(4) == 0 {
		if err := r.look(fs); err != nil {
			return err
		}
	}
	options := &disk.Options{FS: fs, SegmentBytes: r.segmentBytes, Now: func() time.Time { return r.now }}
	err = r.beside(func() (err error) {
		r.driver, err = disk.Open(tortureDir, options)
		return err
	})
	if errors.As(err, new(*broken)) {
		return err
	}
	r.model.clean, r.model.known = false, false
	if err != nil {
		r.notef("open: %v", err)
		if n := r.mount.OpenFiles(); n != 0 {
			return brokenf("%d files stay open after Open failed: %v", n, err)
		}
		if errors.Is(err, daybook.ErrCorrupt) {
			return brokenf("damage after a crash: %v", err)
		}
		return errors.Join(err, r.endWithoutStore())
	}
	r.store = daybook.New(r.driver, nil)
	return nil
}

// pause lets others go on, before a call of the file system.
func (r *torture) pause() {
	const spread = 0x9e3779b1
	if r.calls.Add(spread)>>29 < r.pauses.Load() {
		runtime.Gosched()
	}
}

// cachedFS is a file system that has only its page cache.
type cachedFS struct{ disk.FS }

// look opens the store for reading only, beside nobody, and keeps what it saw:
// what is recovered must be the same.
func (r *torture) look(fs disk.FS) error {
	d, err := disk.Open(tortureDir, &disk.Options{FS: fs, ReadOnly: true})
	if err != nil {
		r.notef("look: %v", err)
		if errors.Is(err, daybook.ErrCorrupt) {
			return brokenf("a reader finds damage after a crash: %v", err)
		}
		return nil // there is no store yet, or a fault struck
	}
	told, err := d.Told()
	if err == nil {
		err = r.model.mustFollow(told, r.model.held())
	}
	if err == nil {
		var h *history
		var seen []daybook.Record
		if h, err = r.model.after(told); err == nil {
			seen, err = gather(d.ReadLog(context.Background(), daybook.LogRead{}))
		}
		if err == nil {
			err = h.mustShow(seen)
		}
	}
	if errors.Is(err, daybook.ErrCorrupt) {
		err = brokenf("a reader finds damage after a crash: %v", err)
	}
	return errors.Join(err, d.Close())
}

// end ends a life: with the crash that came, by a crash now, by a kill, or by
// closing.
func (r *torture) end(closing bool) error {
	gone := r.mount.Gone()
	way := r.random.IntN(5)
	if r.model.failed {
		way = 1 + r.random.IntN(4) // the next life finds what the memory of the machine holds
	}
	if closing || gone == nil && way == 4 {
		return r.close()
	}
	if gone != nil || way >= 2 {
		r.mount.Kill()
	}
	if gone = r.mount.Gone(); errors.Is(gone, simulated.ErrKilled) {
		r.kills++
		r.notef("killed")
	} else if err := r.crash(); err != nil {
		return err
	}
	// Only its goroutines are left to end.
	_ = r.driver.Close()
	return errors.Join(r.nothingOpen(), r.compactionEnds())
}

// endWithoutStore is end where the store could not be opened.
func (r *torture) endWithoutStore() error {
	if errors.Is(r.mount.Gone(), simulated.ErrPowerOff) || r.mount.Gone() == nil && r.random.IntN(2) == 0 {
		return r.crash()
	}
	return nil
}

func (r *torture) crash() error {
	r.disk.Crash(r.random, r.order)
	r.model.crashed = true
	r.crashes++
	r.notef("crashed")
	return r.endReader()
}

// close closes the store; perhaps the machine crashes afterwards.
func (r *torture) close() error {
	err := errors.Join(r.beside(r.driver.Close), r.compactionEnds())
	r.notef("closed: %v", err)
	if err == nil && !r.model.failed {
		r.model.closed()
	}
	if errors.Is(r.mount.Gone(), simulated.ErrPowerOff) {
		err = errors.Join(err, r.crash())
	}
	if opened := r.nothingOpen(); opened != nil {
		return opened
	}
	if r.mount.Gone() == nil && r.random.IntN(2) == 0 {
		err = errors.Join(err, r.crash())
	}
	return err
}

func (r *torture) nothingOpen() error {
	r.directWrites += r.mount.DirectWrites()
	if n := r.mount.OpenFiles(); n != 0 {
		return brokenf("%d files stay open after Close", n)
	}
	return nil
}

// chooseFaults decides how a life ends before its time.
func (r *torture) chooseFaults() []*simulated.Fault {
	f := &simulated.Fault{Kind: simulated.Change, At: 1 + r.random.IntN(1+r.random.IntN(160)), Part: float64(r.random.IntN(5)) / 4}
	names := [...]func(string) bool{nil, nil, ofLog, ofIndex, ofRoom, ofCompacted, ofCompacted}
	n := r.random.IntN(len(names))
	if f.Files = names[n]; f.Files != nil {
		f.At = 1 + r.random.IntN(1+r.random.IntN(60))
	}
	if r.random.IntN(3) == 0 {
		f.At = 1 + r.random.IntN(12) // while it recovers, or not long after
	}
	choice := r.random.IntN(20)
	if r.calm && choice >= 10 {
		choice -= 10
	}
	switch {
	case choice < 7:
		f.PowerOff = true
	case choice < 10:
		f.Kill = true
	case choice < 17:
		f.Kind = failing[r.random.IntN(len(failing))]
		if r.random.IntN(2) == 0 { // what is most often got wrong
			f.Kind, f.Files = simulated.Sync, ofLog
		}
		if f.Kind == simulated.Read || r.random.IntN(2) == 0 {
			f.At = 1 + r.random.IntN(1+r.random.IntN(40))
		}
		f.Err, f.Lasting = syscall.EIO, r.random.IntN(4) == 0
		r.lasting = f.Lasting
		if r.random.IntN(3) == 0 {
			f.Err = fullErrors[r.random.IntN(len(fullErrors))]
			r.full = true
			if r.random.IntN(3) == 0 {
				f.Kind, f.Files = simulated.Write, ofEnd
			}
		}
		r.writesFail = f.Kind != simulated.Open && f.Kind != simulated.Read && f.Kind != simulated.List && f.Kind != simulated.Lock
	case choice < 19:
		r.disk.SetCapacity(r.disk.Used() + r.random.Int64N(4<<10))
		r.full, r.writesFail = true, true
		r.notef("the disk is nearly full")
		return nil
	default:
		return nil
	}
	r.faults++
	r.notef("fault: %s %d of files %d, part %v, power off %v, kill %v, error %v, lasting %v", f.Kind, f.At, n, f.Part, f.PowerOff, f.Kill, f.Err, f.Lasting)
	return []*simulated.Fault{f}
}

// fullErrors are the errors that say that there is no room.
var fullErrors = [...]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

// failing are the calls that fail.
var failing = [...]simulated.Kind{
	simulated.Sync, simulated.Write, simulated.Write, simulated.Open, simulated.Create, simulated.Read, simulated.Truncate,
	simulated.SyncDir, simulated.Rename, simulated.Remove, simulated.Mkdir, simulated.List, simulated.Lock,
}

func ofLog(name string) bool { return strings.HasSuffix(name, ".segment") || name == "END" }
func ofEnd(name string) bool { return name == "END" }
func ofCompacted(name string) bool {
	return strings.Contains(name, ".segment") && strings.Count(strings.TrimSuffix(name, ".new"), ".") > 1
}
func ofIndex(name string) bool { return strings.Contains(name, ".index") }
func ofRoom(name string) bool  { return strings.HasPrefix(name, "SPARE") }
