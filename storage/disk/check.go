package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// CheckOptions of a check. Nil and zero fields mean the defaults.
type CheckOptions struct {
	// Deep reads every byte of the segments too, and compares what the index
	// files say with them. Default: the structure only.
	Deep bool
	// MaxProblems bounds how many problems the report keeps; all are counted.
	// Default 1,000.
	MaxProblems int
	// Progress is told how many bytes of how many are checked.
	Progress func(done, total int64)
	// FS is the file system. Default: that of the machine.
	FS FS
}

// CheckReport says what a check of the files of a store found.
type CheckReport struct {
	Problems []Problem // in the order in which they were met
	Found    int64     // how many there are, those beyond MaxProblems too
	// Skipped names what was not checked, and why.
	Skipped []string
	// Notes name what is no problem and worth to know: a torn tail, an index
	// file that is missing.
	Notes []string

	ID           daybook.ID // of the store
	Live         bool       // a writer had it open
	Segments     int
	SegmentBytes int64
	IndexFiles   int
	IndexBytes   int64
	Changesets   int64            // that were read: all, if Deep
	Records      int64            // in these
	End          daybook.Position // of the log
}

// OK reports whether nothing was found.
func (r CheckReport) OK() bool { return r.Found == 0 }

// Problem is something in the files of a store that cannot be right.
type Problem struct {
	Kind     ProblemKind
	File     string
	Offset   int64            // in the file; 0 where it is about all of it
	Position daybook.Position // the lowest that it can concern; 0 where it is about none
	Reason   string
}

// String returns the problem on one line.
func (p Problem) String() string {
	text := fmt.Sprintf("%s: %s at offset %d", p.Kind, p.File, p.Offset)
	if p.Position > 0 {
		text += fmt.Sprintf(", position %d", p.Position)
	}
	return text + ": " + p.Reason
}

// ProblemKind says what of a store is wrong, and so what to do.
type ProblemKind string

// What can be wrong.
const (
	BrokenStore   ProblemKind = "store"     // daybook.json cannot be read, or the store not be opened
	BrokenChain   ProblemKind = "chain"     // a segment that is missing, of a wrong size, or has a wrong header
	BrokenFrame   ProblemKind = "frame"     // bytes of a segment that are not as they were written
	BrokenOrder   ProblemKind = "order"     // a changeset that does not follow the ones before it
	BrokenIndex   ProblemKind = "index"     // bytes of an index file that are not as they were written
	BrokenAnswers ProblemKind = "agreement" // an index file that says something else than its segments
)

// Check checks the files of the store in dir without writing anything: of one
// that is closed, that another process has open, or of a backup. While it is
// written, what was there when the check began is checked.
//
// Quick, it checks that the segments form a chain: headers, names, sizes; that
// each index file is as it was written, piece by piece, was made of these
// segments, and tells where each of its streams ends; and the end of the log,
// as opening does. Deep, it reads every frame of every segment, checks that
// positions, ordinals, times, versions and changeset numbers follow each other,
// and that the index files give every answer as the segments do: ids of
// appends, claims, heads, changesets of streams, positions by type, tag,
// partition and stream type, deletions and what they hide.
//
// A store without index files is read whole, to find its end. Deep takes
// memory for each stream and claim, and for the index of one segment. What
// Check does not look at, verify.Store does: it reads as programs do.
//
// The error tells what kept it from finishing; damage is no error. It matches
// fs.ErrNotExist if there is no store.
func Check(ctx context.Context, dir string, options *CheckOptions) (CheckReport, error) {
	var o CheckOptions
	if options != nil {
		o = *options
	}
	if o.MaxProblems <= 0 {
		o.MaxProblems = 1000
	}
	if o.FS == nil {
		o.FS = durable.OS
	}
	for attempt := 1; ; attempt++ {
		c := &check{ctx: ctx, dir: dir, options: o, fs: o.FS}
		err := c.run()
		if err != nil {
			return c.report, fmt.Errorf("disk: check %s: %w", dir, err)
		}
		if c.report.OK() || attempt == checkAttempts || !c.hasChanged() {
			return c.report, nil
		}
	}
}

// checkAttempts is how often a check is begun of a store that is changed
// meanwhile otherwise than by appends.
const checkAttempts = 5

// hasChanged reports whether files may look wrong because a writer has begun to
// change them, unnoticed, or has compacted segments.
func (c *check) hasChanged() bool {
	found, err := takeSurvey(c.fs, c.dir, true)
	if err != nil || found.live && !c.report.Live {
		return err == nil
	}
	for i := range min(len(found.found), len(c.segments)) {
		if found.found[i].name != c.segments[i].name {
			return true
		}
	}
	return false
}

// check is a check on its way.
type check struct {
	ctx     context.Context
	dir     string
	options CheckOptions
	fs      FS
	report  CheckReport

	segments []checkedSegment // in the order of their names
	indexes  []checkedIndex
	done     int64
	total    int64
}

// checkedSegment is a segment file and what is known of it.
type checkedSegment struct {
	foundSegment
	sound bool  // its header is
	limit int64 // how much of it is log
}

func (c *check) found(p Problem) {
	c.report.Found++
	if len(c.report.Problems) < c.options.MaxProblems {
		c.report.Problems = append(c.report.Problems, p)
	}
}

// foundDamage is found for what opening reports.
func (c *check) foundDamage(kind ProblemKind, damage *daybook.CorruptError) {
	c.found(Problem{Kind: kind, File: damage.File, Offset: damage.Offset, Position: damage.Position, Reason: damage.Reason})
}

func (c *check) note(format string, args ...any) {
	c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
}

func (c *check) skip(format string, args ...any) {
	c.report.Skipped = append(c.report.Skipped, fmt.Sprintf(format, args...))
}

func (c *check) advance(more int64) {
	if c.done += more; c.options.Progress != nil {
		c.options.Progress(c.done, c.total)
	}
}

func (c *check) run() error {
	id, err := readIdentity(c.fs, c.dir)
	if damage, ok := errors.AsType[*daybook.CorruptError](err); ok {
		c.foundDamage(BrokenStore, damage)
		c.skip("everything else: without %s nobody knows which store this is", identityName)
		return nil
	}
	if err != nil {
		return err
	}
	c.report.ID = id.ID
	defer c.closeIndexes()
	if err := c.gather(); err != nil {
		return err
	}
	if err := c.openingFinds(); err != nil {
		return err
	}
	for i := range c.indexes {
		c.total += c.indexes[i].size
	}
	if c.options.Deep {
		for i := range c.segments {
			c.total += c.segments[i].limit
		}
	}
	c.advance(0)
	if err := c.checkIndexes(); err != nil || !c.options.Deep {
		return err
	}
	return c.checkLog()
}

// gather finds the files. The order matters beside a writer: the index files
// tell of segments that the end mark, read later, knows; and those are there
// when the segments are listed last.
func (c *check) gather() (err error) {
	if err := c.openIndexes(); err != nil {
		return err
	}
	found, err := takeSurvey(c.fs, c.dir, true)
	if err != nil {
		return err
	}
	c.report.Live = found.live
	return c.chain(&found)
}

// openingFinds opens the store for reading, and takes over what that says.
func (c *check) openingFinds() error {
	d, err := Open(c.dir, &Options{ReadOnly: true, FS: c.fs})
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.found(Problem{Kind: BrokenStore, File: c.dir, Reason: err.Error()})
		return nil
	}
	defer d.Close()
	r := d.Recovery()
	d.log.mu.RLock()
	defer d.log.mu.RUnlock()
	c.report.End = d.log.index.shown.last
	if r.Damage == nil {
		// A segment may have been begun meanwhile, or not be shown yet.
		n := min(len(d.log.segments), len(c.segments))
		c.segments = c.segments[:n]
		if last := &c.segments[n-1]; last.name == d.log.segments[n-1].name {
			last.limit = d.log.segments[n-1].end
		}
	}
	if r.Cut != nil {
		c.note("%s ends with %d bytes of an append that was never acknowledged; the next writer drops them", r.Cut.File, r.Cut.Length)
	}
	if r.Damage != nil && !c.isKnown(r.Damage) {
		c.foundDamage(BrokenFrame, r.Damage)
	}
	return nil
}

// isKnown reports whether a problem of the same file and offset was found.
func (c *check) isKnown(damage *daybook.CorruptError) bool {
	for _, p := range c.report.Problems {
		if p.File == damage.File && p.Offset == damage.Offset {
			return true
		}
	}
	return false
}
