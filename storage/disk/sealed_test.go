package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func (f files) indexes() []string {
	var names []string
	for name := range f {
		if strings.HasSuffix(name, ".index") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// tellFS tells which index files are made and removed.
type tellFS struct {
	disk.FS
	made chan string
	read atomic.Int64 // bytes of segments
}

func newTellFS() *tellFS { return &tellFS{FS: lazy, made: make(chan string, 1000)} }

func (f *tellFS) Rename(from, to string) error {
	err := f.FS.Rename(from, to)
	if strings.HasSuffix(to, ".index") {
		f.made <- filepath.Base(to)
	}
	return err
}

func (f *tellFS) Remove(name string) error {
	err := f.FS.Remove(name)
	if strings.HasSuffix(name, ".index") {
		f.made <- "removed " + filepath.Base(name)
	}
	return err
}

func (f *tellFS) Open(name string) (disk.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".segment") {
		return file, err
	}
	return countedFile{file, &f.read}, nil
}

type countedFile struct {
	disk.File
	read *atomic.Int64
}

func (f countedFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(b, offset)
	f.read.Add(int64(n))
	return n, err
}

// sealedStore writes a store of many segments, waits until there is an index
// file of all but the last, and closes it.
func sealedStore(t *testing.T) (dir string, all []daybook.Record) {
	t.Helper()
	dir = t.TempDir()
	fsys := newTellFS()
	d := open(t, dir, &disk.Options{SegmentBytes: 1, FS: fsys})
	for n := range 200 {
		a := daybook.Append{ID: daybook.IDOf(fmt.Sprint("append ", n)), Changesets: []daybook.Changeset{{
			Stream: daybook.Stream(fmt.Sprintf("s-%d", n%7)), Events: events(n, 1+n%3),
		}}}
		if n%10 == 0 {
			a.Changesets[0].Claims = []daybook.Claim{{Kind: "n", Value: fmt.Sprint(n)}}
		}
		if n%10 == 7 && n > 7 { // the stream of n-7 is that of n
			a.Changesets[0].Releases = []daybook.Claim{{Kind: "n", Value: fmt.Sprint(n - 7)}}
		}
		if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	segments := filesOf(t, dir).segments()
	first := func(name string) string { return strings.TrimSuffix(name, ".segment") }
	last := first(segments[len(segments)-2])
	for made := range fsys.made {
		if strings.HasSuffix(made, last+".index") {
			break
		}
	}
	all = wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if len(segments) < 10 {
		t.Fatalf("only %d segments", len(segments))
	}
	return dir, all
}

// wantAnswers checks that a store answers everything as its log says.
func wantAnswers(t *testing.T, d *disk.Driver, all []daybook.Record) {
	t.Helper()
	wantRecords(t, "the log", wholeLog(t, d), all)
	heads := map[daybook.StreamID]daybook.Head{}
	streams := map[daybook.StreamID][]daybook.Record{}
	for _, r := range all {
		first := heads[r.Stream].First
		if first == 0 {
			first = r.Version
		}
		heads[r.Stream] = daybook.Head{Version: r.Version, Changeset: r.Changeset.Number, First: first, Position: r.Position, RecordedAt: r.RecordedAt}
		streams[r.Stream] = append(streams[r.Stream], r)
	}
	for id, want := range heads {
		if got, err := d.Head(t.Context(), id); err != nil || got != want {
			t.Errorf("head of %s: %+v, %v, want %+v", id, got, err, want)
		}
		records := streams[id]
		from := records[len(records)/2].Version
		for _, read := range []daybook.StreamRead{{}, {From: from}, {To: from}, {From: from, Backwards: true}} {
			var want []daybook.Record
			for _, r := range records {
				if read.Holds(r.Version, r.RecordedAt) {
					want = append(want, r)
				}
			}
			if read.Backwards {
				slices.Reverse(want)
			}
			got, err := gather(d.ReadStream(t.Context(), id, read))
			if err != nil {
				t.Fatal(err)
			}
			wantRecords(t, fmt.Sprintf("%s, %+v", id, read), got, want)
		}
	}
	listed := 0
	for head, err := range d.ListStreams(t.Context(), daybook.StreamList{}) {
		if listed++; err != nil || heads[head.Stream] != head.Head {
			t.Errorf("listed %+v, %v", head, err)
		}
	}
	stats, err := d.Stats(t.Context())
	if err != nil || listed != len(heads) || stats.Streams != int64(len(heads)) || stats.Records != int64(len(all)) || stats.LastPosition != all[len(all)-1].Position {
		t.Errorf("%d streams listed of %d; stats %+v, %v", listed, len(heads), stats, err)
	}
}

// wantDecisions checks that appends to a sealedStore are decided by what is
// only in index files.
func wantDecisions(t *testing.T, d *disk.Driver, all []daybook.Record) {
	t.Helper()
	store := daybook.New(d, nil)
	for _, n := range []int{0, 1, 100, 199} {
		id := daybook.IDOf(fmt.Sprint("append ", n))
		receipt, err := store.AppendAll(t.Context(), daybook.Append{ID: id, Changesets: []daybook.Changeset{{
			Stream: daybook.Stream(fmt.Sprintf("s-%d", n%7)), Events: events(n, 1+n%3),
		}}})
		i := slices.IndexFunc(all, func(r daybook.Record) bool { return r.Changeset.AppendID == id })
		if err != nil || !receipt.Repeated || receipt.Changesets[0].FirstPosition != all[i].Position {
			t.Errorf("append %d again: %+v, %v", n, receipt, err)
		}
	}
	for n := 0; n < 200; n += 10 {
		claim := daybook.Claim{Kind: "n", Value: fmt.Sprint(n)}
		holder, held, err := d.ClaimHolder(t.Context(), "", claim)
		released := n+7 < 200 && n > 0
		if err != nil || held == released || held && holder != daybook.Stream(fmt.Sprintf("s-%d", n%7)) {
			t.Errorf("claim %d is held by %v, %t, %v", n, holder, held, err)
		}
	}
	for _, query := range []daybook.QueryItem{
		{Tags: []string{"n:3"}}, {Tags: []string{"n:3", "all"}}, {Types: []string{"type1"}}, {Types: []string{"type0", "type2"}, Tags: []string{"n:100"}},
		{Tags: []string{"n:3", "n:4"}}, {Tags: []string{"never"}},
	} {
		var want daybook.Position
		for _, r := range all {
			if query.Matches(r.Type, r.Tags) {
				want = r.Position
			}
		}
		condition := &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{query}}}
		if want > 0 {
			condition.After = want - 1
		} else {
			condition.After = 0
		}
		_, err := d.Append(t.Context(), daybook.Append{ID: daybook.NewID(), Condition: condition, Changesets: []daybook.Changeset{{
			Stream: daybook.Stream("s-0"), Expect: daybook.ExpectNone(), Events: []daybook.Event{{ID: daybook.NewID(), Type: "t"}},
		}}})
		// The stream is there: the append is refused by that before its condition.
		if conflict, ok := err.(*daybook.ConflictError); !ok || !conflict.Found.Exists() {
			t.Errorf("an append to a stream that is there: %v", err)
		}
		_, err = d.Append(t.Context(), daybook.Append{ID: daybook.NewID(), Condition: condition, Changesets: []daybook.Changeset{{
			Stream: daybook.Stream("s-0"), References: []daybook.StreamID{daybook.Stream("absent")}, Events: []daybook.Event{{ID: daybook.NewID(), Type: "t"}},
		}}})
		if broken, ok := err.(*daybook.ConditionError); ok != (want > 0) || ok && broken.Found != want {
			t.Errorf("%+v after %d answers %v, want position %d", query, condition.After, err, want)
		}
	}
}

func TestOpeningReadsNothingThatIndexFilesCover(t *testing.T) {
	dir, all := sealedStore(t)
	for _, readOnly := range []bool{false, true} {
		fsys := newTellFS()
		d := open(t, dir, &disk.Options{FS: fsys, ReadOnly: readOnly})
		segments := filesOf(t, dir).segments()
		tail := int64(len(filesOf(t, dir)[segments[len(segments)-1]]))
		if most := 3*tail + int64(len(segments))*200; fsys.read.Load() > most {
			t.Errorf("read only %t: %d bytes of the log were read, want at most %d", readOnly, fsys.read.Load(), most)
		}
		if r := d.Recovery(); len(r.Reindexed) > 0 || !r.Clean || r.Records != int64(len(all)) {
			t.Errorf("recovery %+v", r)
		}
		wantAnswers(t, d, all)
		if !readOnly {
			wantDecisions(t, d, all)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIndexFilesAreMerged(t *testing.T) {
	dir, all := sealedStore(t)
	fsys := newTellFS()
	d := open(t, dir, &disk.Options{FS: fsys})
	n := len(filesOf(t, dir).segments())
	for len(filesOf(t, dir).indexes()) > 3*3 {
		<-fsys.made
	}
	wantAnswers(t, d, all)
	wantDecisions(t, d, all)
	if n < 20 {
		t.Errorf("only %d segments", n)
	}
}

func TestIndexFilesThatCannotBeTrustedAreMadeAnew(t *testing.T) {
	dir, all := sealedStore(t)
	closed := filesOf(t, dir)
	indexes := closed.indexes()
	other, _ := sealedStore(t)
	middle := indexes[len(indexes)/2]
	foreign := filesOf(t, other)
	for what, files := range map[string]files{
		"missing":                   closed.with(middle, nil),
		"all missing":               closed.withoutIndexes(),
		"empty":                     closed.with(middle, []byte{}),
		"cut":                       closed.with(middle, closed[middle][:len(closed[middle])/2]),
		"damaged at its end":        closed.with(middle, flip(closed[middle], len(closed[middle])-50, 1)),
		"of another version":        closed.with(middle, flip(closed[middle], 8, 1)),
		"of another store":          closed.with(middle, foreign[foreign.indexes()[0]]),
		"of other segments":         closed.with(middle, closed[indexes[0]]),
		"left over from a merge":    closed.with(strings.Split(indexes[0], "-")[0]+"-"+strings.Split(indexes[len(indexes)-1], "-")[1], []byte("half")),
		"unfinished from the start": closed.with(indexes[0]+".new", []byte("half")),
	} {
		at := files.put(t)
		reindexed := 0
		for _, readOnly := range []bool{true, false} {
			d := open(t, at, &disk.Options{ReadOnly: readOnly, FS: lazy})
			wantAnswers(t, d, all)
			if r := d.Recovery(); r.Damage != nil || r.Cut != nil || !r.Clean {
				t.Errorf("%s: recovery %+v", what, r)
			} else if !readOnly {
				reindexed = len(r.Reindexed)
				wantDecisions(t, d, all)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if none := strings.HasPrefix(what, "left") || strings.HasPrefix(what, "unfinished"); (reindexed == 0) != none {
			t.Errorf("%s: %d segments were indexed anew", what, reindexed)
		}
		d := open(t, at, nil)
		if r := d.Recovery(); len(r.Reindexed) > 0 {
			t.Errorf("%s: opened again: %+v", what, r)
		}
		for _, name := range filesOf(t, at).indexes() {
			if data := filesOf(t, at)[name]; string(data) == "half" {
				t.Errorf("%s: %s is still there", what, name)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIndexFilesThatAreDamagedWhileOpenAreMadeAnew(t *testing.T) {
	dir, all := sealedStore(t)
	for _, readOnly := range []bool{true, false} {
		damaged := filesOf(t, dir)
		for _, name := range damaged.indexes() {
			data := slices.Clone(damaged[name])
			for at := 60; at < len(data)*3/4; at += 97 {
				data[at] ^= 4
			}
			damaged = damaged.with(name, data)
		}
		at := filesOf(t, dir).put(t)
		d := open(t, at, &disk.Options{ReadOnly: readOnly, FS: lazy})
		for _, name := range damaged.indexes() {
			// A merge may have taken it away.
			if _, err := os.Stat(filepath.Join(at, name)); err == nil {
				if err := os.WriteFile(filepath.Join(at, name), damaged[name], 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantAnswers(t, d, all)
		if !readOnly {
			wantDecisions(t, d, all)
		}
	}
}

func TestDamagedIndexOfADamagedSegmentIsDamageOfTheLog(t *testing.T) {
	dir, all := sealedStore(t)
	closed := filesOf(t, dir)
	segment := closed.segments()[2]
	damaged := closed.with(segment, flip(closed[segment], 200, 1))
	for _, name := range closed.indexes() {
		data := slices.Clone(damaged[name])
		for at := 60; at < len(data)*3/4; at += 97 {
			data[at] ^= 4
		}
		damaged = damaged.with(name, data)
	}
	for _, readOnly := range []bool{true, false} {
		d := open(t, damaged.withoutIndexes().put(t), &disk.Options{ReadOnly: readOnly, FS: lazy})
		if corrupt := wantDamage(t, "without index files", d, all); filepath.Base(corrupt.File) != segment {
			t.Errorf("reported as %v", corrupt)
		}
		d = open(t, damaged.put(t), &disk.Options{ReadOnly: readOnly, FS: lazy})
		wantDamageHere(t, "with index files", d, all, false)
		for n := range 7 {
			if _, err := gather(d.ReadStream(t.Context(), daybook.Stream(fmt.Sprint("s-", n)), daybook.StreamRead{})); !errors.Is(err, daybook.ErrCorrupt) {
				t.Errorf("stream %d ends with %v", n, err)
			}
		}
		if _, err := d.Head(t.Context(), daybook.Stream("s-0")); !errors.Is(err, daybook.ErrCorrupt) {
			t.Errorf("a head is answered with %v", err)
		}
		if _, err := addAt(t.Context(), d, "s-0", daybook.DurabilityDefault, event(1)); err == nil {
			t.Error("an append was taken")
		}
	}
}

func TestWhatTheLastSegmentHeldWhenItWasClosedIsNotReadAgain(t *testing.T) {
	dir := t.TempDir()
	options := func(fsys disk.FS) *disk.Options { return &disk.Options{SegmentBytes: 64 << 10, FS: fsys} }
	d := open(t, dir, options(lazy))
	fill := func(n int) {
		for i := range n {
			add(t, d, fmt.Sprintf("s-%d", i%5), events(i, 3)...)
		}
	}
	fill(60)
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	closed := filesOf(t, dir)
	if n := len(closed.segments()); n != 1 || len(closed.indexes()) != 1 {
		t.Fatalf("%d segments, index files %v", n, closed.indexes())
	}
	fsys := newTellFS()
	d = open(t, dir, options(fsys))
	if read := fsys.read.Load(); read > 1000 {
		t.Errorf("%d bytes of the log were read", read)
	}
	wantAnswers(t, d, all)
	fill(3)
	all = wholeLog(t, d)
	wantAnswers(t, d, all)
	crashed := filesOf(t, dir)
	size, grown := len(closed[firstSegment]), len(crashed[firstSegment])
	for what, c := range map[string]struct {
		files files
		want  int // records; -1: damage
	}{
		"the process was killed": {crashed, len(all)},
		"a torn tail":            {crashed.with("END", closed["END"]).with(firstSegment, crashed[firstSegment][:grown-9]), len(all) - 3},
		"cut within what it was": {crashed.with(firstSegment, crashed[firstSegment][:size-9]), -1},
		"another index file":     {crashed.with(closed.indexes()[0], []byte("half")), len(all)},
	} {
		at := c.files.put(t)
		for _, readOnly := range []bool{true, false} {
			o := options(lazy)
			o.ReadOnly = readOnly
			d := open(t, at, o)
			if c.want < 0 {
				wantDamage(t, what, d, all)
				continue
			}
			if r := d.Recovery(); r.Damage != nil || (r.Cut != nil) != (c.want < len(all)) || r.Records != int64(c.want) {
				t.Errorf("%s: %+v", what, r)
			}
			wantAnswers(t, d, all[:c.want])
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// It goes on into further segments.
	fill(200)
	all = wholeLog(t, d)
	wantAnswers(t, d, all)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantAnswers(t, open(t, dir, options(lazy)), all)
}
