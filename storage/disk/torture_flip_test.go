package disk_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// tortureFlips, in the environment, says how many bits are flipped.
const tortureFlips = "DAYBOOK_TORTURE_FLIPS"

const (
	fewFlips = 100
	// flipsPerSeed is how many bits are flipped in the store that a seed made,
	// each alone.
	flipsPerSeed = 10
)

func TestFlippedBitsAreFoundAndNamedAndNeverGiveAWrongRecord(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	flips := fromEnvironment(t, tortureFlips, fewFlips)
	first, one := givenSeed(t)
	if !one {
		first = rand.Uint64() >> 1
	}
	found := map[string]int{}
	n := 0
	for ; n*flipsPerSeed < flips && n < mostSeeds(t) && !t.Failed() && (n == 0 || !one); n++ {
		seed := first + uint64(n)
		r := newTorture(seed)
		r.calm = true
		var err error
		synctest.Test(t, func(*testing.T) {
			if err = r.run(1 + r.random.IntN(3)); err != nil {
				return
			}
			whole := r.disk.Copy()
			for range flipsPerSeed {
				r.disk = whole.Copy()
				if err = r.flipped(found); err != nil {
					return
				}
			}
		})
		if err != nil {
			reportSeed(t, n, seed, r, err)
		}
	}
	t.Logf("%d seeds from %d on: %d flips, of which were found and named, or changed nothing that is asked: %v", n, first, n*flipsPerSeed, found)
}

// flipped turns one bit, before the store is opened or while it is open, and
// looks at what the store then says.
func (r *torture) flipped(found map[string]int) error {
	names := r.disk.List(tortureDir)
	name := names[r.random.IntN(len(names))]
	seen, synced := r.disk.Read(filepath.Join(tortureDir, name))
	synced = synced[:min(len(seen), len(synced))] // it may have been written anew, shorter, and not synced
	if len(synced) == 0 {
		return nil
	}
	at := r.random.Int64N(int64(len(synced)))
	if r.random.IntN(3) == 0 {
		at = r.random.Int64N(min(int64(len(synced)), 200)) // where headers are
	}
	flip := func() error { return r.disk.Flip(filepath.Join(tortureDir, name), at, uint(r.random.IntN(8))) }
	while := r.random.IntN(3) == 0
	r.notef("flip: byte %d of %d of %s, while it is open: %v", at, len(synced), name, while)
	if !while {
		if err := flip(); err != nil {
			return err
		}
		if err := r.checkFlipped(name, at); err != nil {
			return err
		}
	}
	r.mount = r.disk.Mount()
	d, err := disk.Open(tortureDir, &disk.Options{FS: r.mount, SegmentBytes: r.segmentBytes})
	if err != nil {
		if name != "daybook.json" || !errors.As(err, new(*disk.FormatError)) && !named(err, name, at) {
			return brokenf("the store cannot be opened: %v", err)
		}
		found["daybook.json, found"]++
		return nil
	}
	r.driver, r.store = d, daybook.New(d, nil)
	defer r.abandon()
	defer func(h *history) { r.model.history = h }(r.model.history)
	comparable := true
	if d.Recovery().Damage != nil {
		if comparable, err = r.forgetBehindDamage(); err != nil {
			return brokenf("what stands before the damage: %v", err)
		}
	}
	if while && flip() != nil {
		return nil // opening has replaced the file, or written it anew
	}
	if err := r.readFlipped(name, at, while, found); err != nil {
		return err
	}
	for n := 0; comparable && n < 6; n++ {
		if err := r.read(); err != nil && !(r.isOfLog(name) && named(err, name, at)) {
			return err
		}
	}
	return d.Close()
}

// forgetBehindDamage makes the model what stands in front of damage. A deletion
// behind it is not known: what it has hidden is there again, but for what was
// compacted. It reports whether that is nothing, so that the store can be compared
// in all.
func (r *torture) forgetBehindDamage() (comparable bool, err error) {
	told, err := r.driver.Told()
	if err != nil {
		return false, err
	}
	h, err := r.model.after(told)
	if err != nil {
		return false, err
	}
	bare := map[daybook.Ordinal]bool{}
	for _, t := range told {
		for i, c := range t.Changesets {
			bare[c.Ordinal] = t.Bare[i]
		}
	}
	left := *h
	left.log = slices.DeleteFunc(slices.Clone(h.log), func(r daybook.Record) bool { return bare[r.Changeset.Ordinal] })
	r.model.history = &left
	return len(left.log) == len(h.log), nil
}

// isOfLog reports whether a file is a segment that counts: a crash may leave an
// earlier generation of one beside it.
func (r *torture) isOfLog(name string) bool {
	generation := func(other string) int {
		n, _ := strconv.Atoi(strings.Trim(strings.TrimSuffix(other[20:], ".segment"), "."))
		return n
	}
	return strings.HasSuffix(name, ".segment") && !slices.ContainsFunc(r.disk.List(tortureDir), func(other string) bool {
		return strings.HasSuffix(other, ".segment") && other[:20] == name[:20] && generation(other) > generation(name)
	})
}

// checkFlipped checks the files: each flip in one of the log, or of the index, is
// found there and named.
func (r *torture) checkFlipped(name string, at int64) error {
	if !r.isOfLog(name) && !strings.HasSuffix(name, ".index") {
		return nil
	}
	report, err := disk.Check(context.Background(), tortureDir, &disk.CheckOptions{Deep: true, FS: r.disk.Copy().Mount()})
	if err != nil {
		return brokenf("the check of the files ends with %v", err)
	}
	for _, p := range report.Problems {
		if filepath.Base(p.File) == name && p.Offset <= at {
			return nil
		}
	}
	return brokenf("the check of the files does not name %s: %v", name, report.Problems)
}

// readFlipped reads everything.
func (r *torture) readFlipped(name string, at int64, while bool, found map[string]int) error {
	got, err := gather(r.driver.ReadLog(context.Background(), daybook.LogRead{}))
	for i := range got {
		if i >= len(r.model.log) || !sameRecord(&got[i], &r.model.log[i]) {
			return brokenf("a wrong record is read: %s", show(&got[i]))
		}
	}
	segment := r.isOfLog(name)
	kind := strings.TrimLeft(name, "-0123456789")
	if kind == ".index" && r.model.end().deletion > 0 {
		kind = ".index beside deletions"
	}
	switch {
	case err == nil && len(got) < len(r.model.log):
		return brokenf("%d of %d records are read, and no error", len(got), len(r.model.log))
	case err != nil && (!segment || !named(err, name, at)):
		return brokenf("what was read ends with %v", err)
	case err != nil && !r.follows(err, got):
		return brokenf("after %d records, reading ends with %v", len(got), err)
	case err == nil && segment && !(while && at < 72):
		// The header of a segment is read once, when the store is opened.
		return brokenf("the flip was not found, neither by opening nor by reading everything")
	case err == nil:
		found[kind+", harmless"]++
	default:
		found[kind+", found"]++
	}
	if err != nil {
		return nil
	}
	// Everything is still known: also which appends there were.
	for range 3 {
		if err := r.repeat(); err != nil {
			return err
		}
	}
	return nil
}

// follows reports whether an error tells the place behind what was read.
func (r *torture) follows(err error, got []daybook.Record) bool {
	var corrupt *daybook.CorruptError
	if !errors.As(err, &corrupt) {
		return false
	}
	above := daybook.Position(0)
	if len(got) > 0 {
		above = got[len(got)-1].Position
	}
	return corrupt.Position > above && (len(got) == len(r.model.log) || corrupt.Position <= r.model.log[len(got)].Position)
}

// named reports whether an error names the file, and a place in it that is not
// behind the flip.
func named(err error, name string, at int64) bool {
	var corrupt *daybook.CorruptError
	return errors.As(err, &corrupt) && filepath.Base(corrupt.File) == name && corrupt.Offset <= at && corrupt.Reason != ""
}
