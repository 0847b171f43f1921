package simulated_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/internal/durable/simulated"
)

// crashes is how many crashes a test looks at: what may happen must happen in
// one of them, what must not in none.
const crashes = 400

func seed(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 1)) }

// made returns a disk with a file, synced with its name, and the file.
func made(t *testing.T, data []byte, faults ...*simulated.Fault) (*simulated.Disk, *simulated.Mount, durable.File) {
	t.Helper()
	disk := simulated.New()
	before := disk.Mount()
	must(t, before.Mkdir("/d"))
	must(t, before.SyncDir("/"))
	must(t, durable.WriteFile(before, "/d/file", data))
	mount := disk.Mount(faults...)
	file, err := mount.OpenWrite("/d/file")
	must(t, err)
	return disk, mount, file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file io.WriterAt, offset int64, data []byte) {
	t.Helper()
	if _, err := file.WriteAt(data, offset); err != nil {
		t.Fatal(err)
	}
}

// met counts what crashes left.
type met map[string]int

func (m met) want(t *testing.T, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		if m[kind] == 0 {
			t.Errorf("%s: in none of %d crashes; there were %v", kind, crashes, m)
		}
	}
}

func TestWhatWasSyncedSurvivesEveryCrash(t *testing.T) {
	for n := range crashes {
		disk, mount, file := made(t, []byte("first"))
		write(t, file, 5, []byte(" second"))
		must(t, file.Sync())
		write(t, file, 12, []byte(" third"))
		disk.Crash(seed(n), simulated.NoOrder)
		if seen, synced := disk.Read("/d/file"); !bytes.HasPrefix(seen, []byte("first second")) || !bytes.Equal(seen, synced) {
			t.Fatalf("crash %d left %q, synced %q", n, seen, synced)
		}
		if _, err := file.WriteAt([]byte("x"), 0); !errors.Is(err, simulated.ErrPowerOff) || !errors.Is(mount.Gone(), simulated.ErrPowerOff) {
			t.Fatalf("a program of before the crash writes: %v", err)
		}
	}
}

func TestUnsyncedWritesAreDroppedKeptTornAndReordered(t *testing.T) {
	met := met{}
	const size = 3 * simulated.SectorBytes
	first, second := bytes.Repeat([]byte("a"), size), bytes.Repeat([]byte("b"), size)
	for n := range crashes {
		disk, _, file := made(t, nil)
		write(t, file, 0, first)
		write(t, file, size, second)
		disk.Crash(seed(n), simulated.Journal)
		seen, _ := disk.Read("/d/file")
		a, b := bytes.Count(seen, []byte("a")), bytes.Count(seen, []byte("b"))
		if zeros := bytes.Count(seen, []byte{0}); a+b+zeros != len(seen) {
			t.Fatalf("crash %d invented bytes", n)
		}
		switch {
		case len(seen) == 0:
			met["nothing"]++
		case a == size && b == size:
			met["everything"]++
		case a == 0 && b == size:
			met["the second without the first"]++
		case a == 0 && b == 0:
			met["the size alone"]++
		}
		if a > 0 && a < size {
			met["torn"]++
			if a%simulated.SectorBytes == 0 {
				met["torn at sectors"]++
			} else {
				met["torn at a byte"]++
			}
		}
	}
	met.want(t, "nothing", "everything", "the second without the first", "the size alone", "torn at sectors", "torn at a byte")
}

func TestWritesToOnePlaceSurviveTornAndTruncationsMayBeLost(t *testing.T) {
	met := met{}
	for n := range crashes {
		disk, _, file := made(t, []byte("0000"))
		write(t, file, 0, []byte("1111"))
		write(t, file, 0, []byte("2222"))
		disk.Crash(seed(n), simulated.Journal)
		seen, _ := disk.Read("/d/file")
		met[string(seen)]++

		disk, _, file = made(t, []byte("long"))
		must(t, file.Truncate(1))
		disk.Crash(seed(n), simulated.Journal)
		seen, _ = disk.Read("/d/file")
		met[string(seen)]++
	}
	met.want(t, "0000", "1111", "2222", "0022", "2211", "long", "l")
}

func TestNamesNeedASyncOfTheirDirectory(t *testing.T) {
	for order, want := range map[simulated.Order][]string{
		simulated.Journal: {"[old]", "[old a]", "[b old]", "[b]"},
		simulated.NoOrder: {"[old]", "[old a]", "[b old]", "[b]", "[a]", "[]"},
	} {
		met := met{}
		for n := range crashes {
			disk := simulated.New()
			mount := disk.Mount()
			must(t, durable.WriteFile(mount, "/old", nil))
			file, err := mount.Create("/a")
			must(t, err)
			write(t, file, 0, []byte("a"))
			must(t, file.Sync())
			must(t, mount.Rename("/a", "/b"))
			must(t, mount.Remove("/old"))
			disk.Crash(seed(n), order)
			met[fmt.Sprint(sorted(disk.List("/")))]++
			for _, name := range []string{"/a", "/b"} {
				if seen, _ := disk.Read(name); seen != nil && string(seen) != "a" {
					t.Fatalf("%s holds %q", name, seen)
				}
			}
		}
		for _, names := range want {
			met.want(t, fmt.Sprint(sorted(fields(names))))
		}
		if order == simulated.Journal && len(met) != len(want) {
			t.Errorf("a journal left %v", met)
		}
	}
	for n := range crashes {
		disk := simulated.New()
		mount := disk.Mount()
		must(t, durable.WriteFile(mount, "/file", []byte("whole")))
		must(t, mount.Mkdir("/dir"))
		must(t, mount.SyncDir("/"))
		disk.Crash(seed(n), simulated.NoOrder)
		if seen, _ := disk.Read("/file"); string(seen) != "whole" || len(disk.List("/")) != 2 {
			t.Fatalf("a crash after a sync of the directory left %q, %v", seen, disk.List("/"))
		}
	}
}

func TestAFileThatIsReplacedIsTheOldOrTheNewOne(t *testing.T) {
	met := met{}
	for n := range crashes {
		fault := &simulated.Fault{Kind: simulated.Change, At: n%8 + 1, PowerOff: true, Part: float64(n%3) / 2}
		disk, mount, _ := made(t, []byte("old"), fault)
		err := durable.WriteFile(mount, "/d/file", []byte("new"))
		disk.Crash(seed(n), simulated.NoOrder)
		seen, _ := disk.Read("/d/file")
		met[string(seen)]++
		if string(seen) != "new" && (string(seen) != "old" || err == nil) {
			t.Fatalf("crash %d left %q, after %v", n, seen, err)
		}
	}
	met.want(t, "old", "new")
}

func TestKilledProgramLeavesWhatItDidPending(t *testing.T) {
	met := met{}
	for n := range crashes {
		disk, mount, file := made(t, nil)
		write(t, file, 0, []byte("written"))
		lock, err := mount.Lock("/d/lock")
		must(t, err)
		if _, err := mount.Lock("/d/lock"); !errors.Is(err, durable.ErrLocked) {
			t.Fatalf("a second lock answers %v", err)
		}
		mount.Kill()
		if _, err := file.Size(); !errors.Is(err, simulated.ErrKilled) {
			t.Fatalf("a killed program is answered %v", err)
		}
		must(t, lock.Close())
		next := disk.Mount()
		if seen, synced := disk.Read("/d/file"); string(seen) != "written" || len(synced) > 0 {
			t.Fatalf("the next program sees %q, of which %q is synced", seen, synced)
		}
		if held, err := next.Locked("/d/lock"); err != nil || held {
			t.Fatalf("the lock of a killed program: %v, %v", held, err)
		}
		disk.Crash(seed(n), simulated.Journal)
		seen, _ := disk.Read("/d/file")
		met[string(seen)]++
	}
	met.want(t, "", "written")
}

func TestProgramBesideAnotherEndsWithTheMachineAndNotWithTheOther(t *testing.T) {
	disk := simulated.New()
	beside := disk.MountBeside()
	off := &simulated.Fault{Kind: simulated.Write, At: 1, PowerOff: true}
	for _, faults := range [][]*simulated.Fault{nil, {off}} {
		mount := disk.Mount(faults...)
		lock, err := mount.Lock("lock")
		must(t, err)
		another := disk.MountBeside()
		another.Kill()
		if held, err := beside.Locked("lock"); !held || err != nil {
			t.Errorf("the lock is held %v, %v, when a program ended that did not have it", held, err)
		}
		if faults == nil {
			mount.Kill()
			if held, err := beside.Locked("lock"); held || err != nil {
				t.Errorf("the lock of a program that was killed is held %v, %v", held, err)
			}
			continue
		}
		if _, err := lock.WriteAt([]byte("x"), 0); !errors.Is(err, simulated.ErrPowerOff) {
			t.Errorf("the write that ends the machine answers %v", err)
		}
	}
	if _, err := beside.List("."); !errors.Is(err, simulated.ErrPowerOff) {
		t.Errorf("a program on a machine that is off is answered with %v", err)
	}
	after := disk.MountBeside()
	disk.Crash(seed(1), simulated.Journal)
	if _, err := after.List("."); !errors.Is(err, simulated.ErrPowerOff) {
		t.Errorf("a program on a machine that crashed is answered with %v", err)
	}
}

func TestFailedSyncLosesWhatItCannotWriteAndTheNextSucceeds(t *testing.T) {
	for n := range crashes {
		fault := &simulated.Fault{Kind: simulated.Sync, At: 1, Err: syscall.EIO}
		disk, mount, file := made(t, []byte("old"), fault)
		write(t, file, 0, []byte("new"))
		if err := file.Sync(); !errors.Is(err, syscall.EIO) || !mount.Struck() {
			t.Fatalf("the sync answers %v", err)
		}
		write(t, file, 3, []byte("more"))
		must(t, file.Sync())
		if seen, synced := disk.Read("/d/file"); string(seen) != "newmore" || string(synced) != "oldmore" {
			t.Fatalf("after a sync that failed, %q is seen and %q on the disk", seen, synced)
		}
		write(t, file, 0, []byte("new"))
		must(t, file.Sync())
		disk.Crash(seed(n), simulated.Journal)
		if seen, _ := disk.Read("/d/file"); string(seen) != "newmore" {
			t.Fatalf("what was written again and synced is %q", seen)
		}
	}
}

func TestFaultsStrikeTheCallThatTheyAreFor(t *testing.T) {
	fault := func(kind simulated.Kind, at int, part float64) *simulated.Fault {
		return &simulated.Fault{Kind: kind, At: at, Part: part, Err: syscall.EIO}
	}
	_, mount, file := made(t, []byte("0123456789"), fault(simulated.Write, 2, 0.5), fault(simulated.Read, 1, 0), fault(simulated.Rename, 1, 1), fault(simulated.Open, 2, 0))
	if _, err := file.ReadAt(make([]byte, 1), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("read: %v", err)
	}
	write(t, file, 0, []byte("a"))
	if n, err := file.WriteAt([]byte("bbbb"), 0); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Errorf("short write: %d, %v", n, err)
	}
	whole := make([]byte, 11)
	if n, err := file.ReadAt(whole, 0); n != 10 || err != io.EOF || string(whole[:n]) != "bb23456789" {
		t.Errorf("read: %q, %v", whole[:n], err)
	}
	if err := mount.Rename("/d/file", "/d/other"); !errors.Is(err, syscall.EIO) {
		t.Errorf("rename: %v", err)
	}
	if _, err := mount.Open("/d/other"); !errors.Is(err, syscall.EIO) { // the second that is opened
		t.Errorf("open: %v", err)
	}
	if _, err := mount.Open("/d/file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a rename that failed when it was done: %v", err)
	}
	must(t, file.Close())
	if n := mount.OpenFiles(); n != 0 {
		t.Errorf("%d files are open", n)
	}
}

func TestFullDiskTakesWhatFits(t *testing.T) {
	disk, _, file := made(t, []byte("0123456789"))
	disk.SetCapacity(12)
	if n, err := file.WriteAt([]byte("abcdef"), 8); n != 4 || !errors.Is(err, syscall.ENOSPC) || disk.Used() != 12 {
		t.Errorf("%d, %v, used %d", n, err, disk.Used())
	}
	write(t, file, 0, []byte("in place"))
	disk.SetCapacity(0)
	write(t, file, 12, []byte("more"))
}

func TestFlipChangesWhatWasSynced(t *testing.T) {
	disk, _, file := made(t, []byte("a"))
	must(t, disk.Flip("/d/file", 0, 1))
	if seen, synced := disk.Read("/d/file"); string(seen) != "c" || string(synced) != "c" {
		t.Errorf("%q, %q", seen, synced)
	}
	write(t, file, 1, []byte("unsynced"))
	if err := disk.Flip("/d/file", 1, 1); err == nil {
		t.Error("a byte was flipped that is not on the disk")
	}
}

func TestCopyCrashesLikeTheDiskAndOnItsOwn(t *testing.T) {
	for n := range crashes {
		disk, mount, file := made(t, []byte("old"))
		write(t, file, 0, []byte("new"))
		must(t, mount.Rename("/d/file", "/d/other"))
		copied := disk.Copy()
		copied.Crash(seed(n), simulated.Journal)
		if err := mount.Gone(); err != nil {
			t.Fatalf("a crash of the copy: %v", err)
		}
		disk.Crash(seed(n), simulated.Journal)
		if fmt.Sprint(disk.List("/d")) != fmt.Sprint(copied.List("/d")) {
			t.Fatalf("%v, the copy %v", disk.List("/d"), copied.List("/d"))
		}
		for _, name := range disk.List("/d") {
			seen, _ := disk.Read("/d/" + name)
			other, _ := copied.Read("/d/" + name)
			if !bytes.Equal(seen, other) {
				t.Fatalf("%s holds %q, in the copy %q", name, seen, other)
			}
		}
	}
}

func fields(names string) []string { return strings.Fields(strings.Trim(names, "[]")) }

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

func TestWriteThatIsNotOfWholeBlocksIsRefusedPastTheCache(t *testing.T) {
	_, mount, file := made(t, []byte("old"))
	direct, err := mount.OpenDirect("/d/file")
	must(t, err)
	blocks := durable.Blocks(2 * durable.BlockBytes)
	for what, write := range map[string]func() (int, error){
		"a length":  func() (int, error) { return direct.WriteAt(blocks[:durable.BlockBytes+1], 0) },
		"an offset": func() (int, error) { return direct.WriteAt(blocks, 512) },
		"memory":    func() (int, error) { return direct.WriteAt(blocks[512:512+durable.BlockBytes], 0) },
	} {
		if n, err := write(); n != 0 || !errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s that is not a multiple of a block: %d bytes, %v", what, n, err)
		}
	}
	blocks[0] = 'x'
	write(t, direct, durable.BlockBytes, blocks)
	got := make([]byte, 1)
	if _, err := file.ReadAt(got, durable.BlockBytes); err != nil || got[0] != 'x' {
		t.Errorf("through the cache %q is read, %v, want what was written past it", got, err)
	}
}

func TestWhatIsWrittenPastTheCacheIsPendingUntilASync(t *testing.T) {
	found := met{}
	for n := range crashes {
		disk, mount, file := made(t, []byte("old"))
		direct, err := mount.OpenDirect("/d/file")
		must(t, err)
		blocks := durable.Blocks(2 * durable.BlockBytes)
		for i := range blocks {
			blocks[i] = 'x'
		}
		write(t, direct, 0, blocks)
		if n%2 == 0 {
			must(t, file.Sync())
		}
		disk.Crash(seed(n), simulated.Journal)
		seen, _ := disk.Read("/d/file")
		switch kept := bytes.Count(seen, []byte("x")); {
		case kept == len(blocks):
			found["whole"]++
		case n%2 == 0:
			t.Fatalf("crash %d: %d of %d synced bytes are left", n, kept, len(blocks))
		case kept == 0:
			found["dropped"]++
		default:
			found["torn"]++
		}
	}
	found.want(t, "whole", "dropped", "torn")
}

func TestFaultThatIsAddedLaterCountsFromThen(t *testing.T) {
	_, mount, file := made(t, []byte("old"))
	write(t, file, 0, []byte("a"))
	mount.Add(&simulated.Fault{Kind: simulated.Write, At: 2, Err: syscall.EIO})
	write(t, file, 0, []byte("b"))
	if mount.Struck() {
		t.Error("it struck too early")
	}
	if _, err := file.WriteAt([]byte("c"), 0); !errors.Is(err, syscall.EIO) || !mount.Struck() {
		t.Errorf("the second write answers %v", err)
	}
}

func TestEachCallPausesFirstOutsideOfAllLocks(t *testing.T) {
	mount := simulated.New().Mount()
	pauses := 0
	mount.Pause = func() {
		pauses++
		mount.Calls() // it would wait for ever under the lock
	}
	must(t, mount.Mkdir("/d"))
	file, err := mount.Create("/d/file")
	must(t, err)
	write(t, file, 0, []byte("x"))
	must(t, file.Sync())
	must(t, mount.SyncDir("/d"))
	if pauses != 5 {
		t.Errorf("%d pauses, want 5", pauses)
	}
}
