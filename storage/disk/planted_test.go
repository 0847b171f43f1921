package disk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// The torture tests are worth what they find: here they must find bugs that
// are put in on purpose, each within so many seeds.
const plantedSeeds = 100

// tortureSeeds, in the environment, is how many seeds the torture tests try at
// most.
const tortureSeeds = "DAYBOOK_TORTURE_SEEDS"

// lies are file systems that do not do what they say.
var lies = map[string]func(disk.FS) disk.FS{
	"the log is not synced": func(fs disk.FS) disk.FS {
		return lyingFS{FS: fs, sync: func(name string, _ func() error) error { return nil }, of: ofLog}
	},
	"files on their way are not synced": func(fs disk.FS) disk.FS {
		return lyingFS{FS: fs, sync: func(name string, _ func() error) error { return nil }, of: func(name string) bool { return strings.HasSuffix(name, ".new") }}
	},
	"the log is synced after it is acknowledged": func(fs disk.FS) disk.FS {
		late := new(lateSync)
		return lyingFS{FS: fs, sync: late.sync, of: ofLog}
	},
	"directories are not synced": func(fs disk.FS) disk.FS { return lyingFS{FS: fs, forgetDir: true} },
}

// lyingFS does something else in place of syncs.
type lyingFS struct {
	disk.FS
	sync      func(name string, do func() error) error
	of        func(name string) bool // files that it lies about
	forgetDir bool
}

func (l lyingFS) SyncDir(dir string) error {
	if l.forgetDir {
		return nil
	}
	return l.FS.SyncDir(dir)
}

func (l lyingFS) OpenWrite(name string) (disk.File, error) {
	file, err := l.FS.OpenWrite(name)
	return l.file(name, file, err)
}

func (l lyingFS) Create(name string) (disk.File, error) {
	file, err := l.FS.Create(name)
	return l.file(name, file, err)
}

// OpenDirect implements durable.DirectOpener: what lies about syncs does not lie
// about writes.
func (l lyingFS) OpenDirect(name string) (disk.File, error) {
	if fsys, ok := l.FS.(durable.DirectOpener); ok {
		return fsys.OpenDirect(name)
	}
	return nil, errors.ErrUnsupported
}

func (l lyingFS) file(name string, file disk.File, err error) (disk.File, error) {
	if err != nil || l.of == nil || !l.of(filepath.Base(name)) {
		return file, err
	}
	return lyingFile{file, name, l}, nil
}

type lyingFile struct {
	disk.File
	name string
	fs   lyingFS
}

func (f lyingFile) Sync() error { return f.fs.sync(f.name, f.File.Sync) }

// lateSync does each sync when the next one comes.
type lateSync struct {
	mu  sync.Mutex
	due func() error
}

func (l *lateSync) sync(_ string, do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := l.due
	l.due = do
	if due != nil {
		_ = due() // its file may be closed by now
	}
	return nil
}

func TestLyingDisksAreCaught(t *testing.T) {
	for what, lie := range lies {
		t.Run(what, func(t *testing.T) {
			for seed := range uint64(plantedSeeds) {
				if _, err := tortured(t, seed, func(r *torture) { r.wrap = lie }); err != nil {
					t.Logf("caught by seed %d: %.200s", seed, err)
					return
				}
			}
			t.Errorf("not caught by %d seeds", plantedSeeds)
		})
	}
}

// mutant is a bug: a piece of a source file, and what stands in its place.
type mutant struct{ old, new string }

// mutants are bugs that are put into the sources of the package. What is
// replaced stands there once.
var mutants = map[string]mutant{
	"acknowledge before the sync": {"	if r.level == daybook.DurabilityDisk {\n		if err := w.file.Sync()", "	if false {\n		if err := w.file.Sync()"},
	"say that it is synced before it is": {
		"visible: r.end(), synced: r.durable}\n	if", "visible: r.end(), synced: r.end()}\n	if",
	},
	"do not seal a segment before the next":      {"	if err := w.cutTo(s.header.previousBytes); err != nil {\n		return err\n	}\n", ""},
	"do not cut the tail":                        {"	if err := w.cutTo(w.next); err != nil {\n		return err\n	}\n", ""},
	"do not write again what a sync may lack":    {"	if err := w.rewrite(synced); err != nil {\n		return err\n	}\n", ""},
	"give a position twice after a crash":        {"w.next, w.last = w.segment.end, l.index.last", "w.next, w.last = w.segment.end, max(1, l.index.last)-1"},
	"give an ordinal twice after a crash":        {"w.ordinal, w.latest = l.index.ordinal,", "w.ordinal, w.latest = max(1, l.index.ordinal)-1,"},
	"ignore the checksum of a body":              {"crc32.Checksum(body, castagnoli) != h.bodySum", "false"},
	"ignore the checksum of a frame's header":    {"le.Uint32(b[4:]) != frameChecksum(b, seed, offset)", "false"},
	"ignore the checksums of index files":        {"binary.LittleEndian.Uint32(b[len(piece):]) != pieceSum(seed, offset, piece)", "false"},
	"ignore the checksum of a segment":           {"seed = seedOf(b); seed != headerChecksum(b)", "seed = seedOf(b); false"},
	"take an append that is not whole":           {"	if f.more() {\n		return nil\n	}\n", ""},
	"leave in the file what was taken back":      {"	err := w.cutTo(end)\n", "	var err error\n"},
	"leave in the index what was taken back":     {"	x.parts = slices.DeleteFunc(slices.Clone(x.parts), func(p *part) bool { return p.tellsMore(end) })\n	if again", "	if again"},
	"give the numbers of what was taken back":    {"w.last, w.ordinal, w.latest = t.last, t.ordinal, t.latest", "w.latest = t.latest"},
	"forget what was shown and is taken back":    {"	if r.added() == 0 ||", "	if true ||"},
	"refuse for want of room what may be stored": {"		if err := w.file.Sync(); err != nil {\n			return fmt", "		if err := w.file.Sync(); err != nil {\n			return lackError{err}; return fmt"},
	"take every damage for a torn tail": {
		"	if fault.sound || found.acknowledges(f, whole) {\n		return false, nil\n	}\n	proven, err := r.provesBeyond(fault.offset, whole)\n	return !proven, err\n",
		"	return true, nil\n",
	},
	"acknowledge a deletion before the sync":   {"	r.note(daybook.DurabilityDisk, w.log.index.tally)\n", "	r.note(daybook.DurabilityOS, w.log.index.tally)\n"},
	"remove a segment before there is another": {"	s, err := c.rewrite(ctx, old)\n", "	_ = c.writer.fs.Remove(old.name)\n	s, err := c.rewrite(ctx, old)\n"},
	"replace a segment by what is not synced": {
		"	err = fill(file)\n	if err == nil {\n		err = file.Sync()\n",
		"	err = fill(file)\n	if err == nil {\n		if filepath.Ext(name) != \".segment\" || len(filepath.Base(name)) == 28 {\n			err = file.Sync()\n		}\n",
	},
	"note scrubs before they are done": {
		"	if err := c.each(ctx, segments)",
		"	if err := c.writer.noteScrubbed(ctx, c.until); err != nil {\n		return err\n	}\n	if err := c.each(ctx, segments)",
	},
	"let come back what a compaction has removed":  {"	return c.writer.fs.SyncDir(c.log.dir)\n}\n\n// each compacts", "	return nil\n}\n\n// each compacts"},
	"forget files that could not be removed":       {"		x.leave(true, name)\n		return err", "		return err"},
	"remove what is not hidden":                    {"last > c.targets[parts.stream]", "last > c.targets[parts.stream]+1"},
	"remove claims that are held":                  {"func(claim daybook.Claim) bool { return !held(c.stream, claim) })", "func(claim daybook.Claim) bool { return true })"},
	"show again what is hidden":                    {"		x.hidings.show(h.Stream, h.Hiding)\n", ""},
	"hide what a deletion would have that is lost": {"	x.hidings.forgetDecided()\n", ""},
	"read on from an END that was replaced":        {"		_ = w.mark.Close() // it was only read from\n		w.mark = nil\n", "		break\n"},
	"let a reader stay in what was compacted":      {"	if replaced || errors.Is(err, fs.ErrNotExist) {\n", "	if replaced || errors.Is(err, fs.ErrNotExist) {\n		return false, nil\n"},
	"read on from where a compacted segment began": {"		case known && w.log.segments[i].name != f.name:\n			return false, true, nil\n", ""},
	"leave in the index a note that is taken back": {"	p.newest = s.place\n	t := &p.totals\n	t.LastOrdinal", "	t := &p.totals\n	t.LastOrdinal"},
}

// Without a torture that was asked for, one of them is planted: each takes the
// time to build the package.
func TestPlantedBugsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package")
	}
	if os.Getenv(tortureSeeds) != "" {
		t.Skip("is what the other tests are run for")
	}
	planted := slices.Sorted(maps.Keys(mutants))
	if os.Getenv(tortureCrashes) == "" {
		n := seeded(t).IntN(len(planted))
		planted = planted[n : n+1]
	}
	overlays := map[string]string{}
	for what, bug := range mutants {
		overlays[what] = plant(t, what, bug) // all: each must still fit the sources
	}
	for _, what := range planted {
		t.Run(what, func(t *testing.T) { wantCaught(t, overlays[what]) })
	}
}

// plant returns an overlay for the go command, in which a bug is put into the
// one file that holds what it replaces.
func plant(t *testing.T, what string, bug mutant) (overlay string) {
	t.Helper()
	var sources []string
	for _, pattern := range []string{"*.go", "../../internal/logindex/*.go", "../../internal/durable/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, found...)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		n := bytes.Count(text, []byte(bug.old))
		if n == 0 || strings.HasSuffix(source, "_test.go") {
			continue
		}
		name, err := filepath.Abs(source)
		if err != nil {
			t.Fatal(err)
		}
		replace[name] = filepath.Join(dir, filepath.Base(source))
		if n > 1 || len(replace) > 1 {
			t.Fatalf("%s: what is to be replaced stands more than once, again in %s", what, source)
		}
		if err := os.WriteFile(replace[name], bytes.Replace(text, []byte(bug.old), []byte(bug.new), 1), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if len(replace) == 0 {
		t.Fatalf("%s: what is to be replaced stands nowhere: say anew what the bug is", what)
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o666); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// replayed is how a torture test says which seed found something.
var replayed = regexp.MustCompile(`seed (\d+)(, after \d+ others)?:.*`)

// wantCaught runs the torture tests on the package as an overlay makes it.
func wantCaught(t *testing.T, overlay string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-vet=off", "-overlay="+overlay,
		"-run=^(TestSimulatedCrashesLeaveWhatWasAcknowledged|TestFlippedBitsAreFoundAndNamedAndNeverGiveAWrongRecord)$", ".")
	command.Env = append(os.Environ(), tortureSeeds+"="+strconv.Itoa(plantedSeeds), tortureCrashes+"=1000000", tortureFlips+"=1000000")
	out, err := command.CombinedOutput()
	caught := replayed.Find(out)
	if err == nil || caught == nil {
		t.Fatalf("not caught by %d seeds: %v\n%s", plantedSeeds, err, out)
	}
	t.Logf("caught: %.300s", caught)
}
