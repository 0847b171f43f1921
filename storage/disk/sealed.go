package disk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/internal/logindex"
)

// indexSuffix ends the names of index files: what is known of one or more
// sealed segments, so that it need not be in memory. They hold nothing that
// the segments do not.
const indexSuffix = ".index"

// indexName returns the name of the index file of the segments from one to
// another.
func indexName(first, last daybook.Position) string {
	return fmt.Sprintf("%020d-%020d%s", first, last, indexSuffix)
}

// indexSpan returns the segments that the name of an index file tells.
func indexSpan(name string) (first, last daybook.Position, ok bool) {
	span, ok := strings.CutSuffix(name, indexSuffix)
	if !ok || len(span) != 41 || span[20] != '-' {
		return 0, 0, false
	}
	first, ok = segmentFirst(span[:20] + segmentSuffix)
	last, also := segmentFirst(span[21:] + segmentSuffix)
	return first, last, ok && also && first <= last
}

// sealed are the index files of the sealed segments, from the first segment
// on, without gaps. It answers for the part of the log that they cover; above
// it, the index in memory does.
type sealed struct {
	log   *log
	fs    FS
	store daybook.ID
	// inMemory is set where nothing may be written: what is built stays in
	// memory, as compact as it would be in a file.
	inMemory bool
	// distrusted is set where an index could neither be read nor built anew: no
	// file is used then.
	distrusted bool
	stopping   atomic.Bool // no file is begun or written further
	foresight  *foresight
	// making is held while rows are put in place of others, but by who builds a
	// damaged one anew. A merge does not wait for it.
	making sync.Mutex

	mu     sync.RWMutex // guards all below; held for the time of a lookup
	rows   []*sealedRow // oldest first
	failed error        // why an answer may be missing
	closed bool
	// left are files that were replaced, or written in part, and could not be
	// removed. They may hold what a compaction is to remove.
	left map[string]bool
}

// sealedRow is an index and the segments that it covers.
type sealedRow struct {
	*logindex.Run
	name  string // of its file; "" in memory
	file  File
	first int        // number of its first segment
	span  []*segment // all of them
	// part is set if it covers only what a segment held when the store was
	// closed; then the segment stands in span as it was.
	part  bool
	again sync.Mutex // held by who builds it anew
	// hidings are what its deletions have hidden, until they are taken in.
	hidings []logindex.StreamHiding
}

// next returns the number of the first segment that it does not cover whole.
func (r *sealedRow) next() int {
	if r.part {
		return r.first
	}
	return r.first + len(r.span)
}

// readMarks reads the marks of those of its segments whose numbers are not
// below one. Nobody else may know these segments yet.
func (r *sealedRow) readMarks(from int) (err error) {
	for i, s := range r.span {
		if s.number >= from && err == nil {
			s.marks, err = r.Marks(i)
		}
	}
	return err
}

// place returns where a place in the index is in the log.
func (r *sealedRow) place(p logindex.Place) place {
	return placeOf(r.first+p.Segment(), p.Offset())
}

func newSealed(l *log, fsys FS) *sealed {
	return &sealed{log: l, fs: fsys, foresight: newForesight(), left: map[string]bool{}}
}

// next returns the number of the first segment that is not covered.
func (x *sealed) next() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.nextLocked()
}

func (x *sealed) nextLocked() int {
	if len(x.rows) == 0 {
		return 0
	}
	return x.rows[len(x.rows)-1].next()
}

func (x *sealed) empty() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.rows) == 0
}

// totals counts what is covered.
func (x *sealed) totals() (all logindex.Totals) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, row := range x.rows {
		all.Add(row.Totals())
	}
	return all
}

// open opens the file of an index of segments.
func (x *sealed) open(name string, span []*segment) (*sealedRow, error) {
	file, err := x.fs.Open(name)
	if err != nil {
		return nil, err
	}
	row, err := x.openRow(file, name, span)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return row, nil
}

func (x *sealed) openRow(file File, name string, span []*segment) (*sealedRow, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	run, err := logindex.Open(file, size, x.store)
	if err != nil {
		return nil, err
	}
	if !madeOf(run.Segments(), span) {
		return nil, fmt.Errorf("%w: it was made of other segments", logindex.ErrDamaged)
	}
	return &sealedRow{Run: run, name: name, file: file, first: span[0].number, span: span}, nil
}

// openPart opens the file of an index of a segment that may have grown since,
// up to a limit. It makes the segment what it was then.
func (x *sealed) openPart(name string, of *segment, limit int64) (*sealedRow, error) {
	file, err := x.fs.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	var run *logindex.Run
	if err == nil {
		run, err = logindex.Open(file, size, x.store)
	}
	if err == nil {
		of.end = run.Segments()[0].Bytes
		of.written.Store(of.end)
		if of.end > limit || !madeOf(run.Segments(), []*segment{of}) {
			err = fmt.Errorf("%w: it was made of more than there is", logindex.ErrDamaged)
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &sealedRow{Run: run, name: name, file: file, first: of.number, span: []*segment{of}, part: true}, nil
}

// madeOf reports whether an index was made of segments as they are now.
func madeOf(of []logindex.Segment, span []*segment) bool {
	return slices.EqualFunc(of, span, func(of logindex.Segment, s *segment) bool {
		return of.First == s.header.first && of.Bytes == s.end && of.Seed == s.seed
	})
}

// write makes the index of segments that fill writes, and opens it.
func (x *sealed) write(span []*segment, fill func(io.Writer) (int64, error)) (*sealedRow, error) {
	if x.inMemory {
		var memory bytes.Buffer
		if _, err := fill(&memory); err != nil {
			return nil, err
		}
		run, err := logindex.Open(bytes.NewReader(memory.Bytes()), int64(memory.Len()), x.store)
		return &sealedRow{Run: run, first: span[0].number, span: span}, err
	}
	name := x.log.path(indexName(span[0].header.first, span[len(span)-1].header.first))
	err := x.writeFile(name, func(file File) error {
		to := bufio.NewWriterSize(&fileWriter{file: file, stopping: &x.stopping}, 256<<10)
		if _, err := fill(to); err != nil {
			return err
		}
		return to.Flush()
	})
	if err != nil {
		return nil, err
	}
	row, err := x.open(name, span)
	if err != nil {
		x.leave(true, name)
	}
	return row, err
}

// writeFile is durable.Write for a file that may be left over.
func (x *sealed) writeFile(name string, fill func(File) error) error {
	unfinished := name + durable.Unfinished
	x.leave(false, name, unfinished) // nobody removes it under who writes it
	err := durable.Write(x.fs, name, fill)
	if err != nil {
		x.leave(true, name, unfinished)
	}
	return err
}

// leave notes whether files are left over.
func (x *sealed) leave(left bool, names ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range names {
		if left {
			x.left[name] = true
		} else {
			delete(x.left, name)
		}
	}
}

// remove removes a file that another has replaced. One that is still there
// when the store is opened next is removed then.
func (x *sealed) remove(name string) error {
	if name == "" {
		return nil
	}
	if err := x.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.leave(true, name)
		return err
	}
	return nil
}

// removeLeft removes the files that are left over, but for those that came into
// use again.
func (x *sealed) removeLeft(inUse func(name string) bool) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name := range x.left {
		if !inUse(name) && !slices.ContainsFunc(x.rows, func(r *sealedRow) bool { return r.name == name }) {
			if failed := x.fs.Remove(name); failed != nil && !errors.Is(failed, fs.ErrNotExist) {
				err = errors.Join(err, failed)
				continue
			}
		}
		delete(x.left, name)
	}
	return err
}

// fileWriter writes a file from its beginning on.
type fileWriter struct {
	file     File
	offset   int64
	stopping *atomic.Bool
}

func (w *fileWriter) Write(b []byte) (int, error) {
	if w.stopping.Load() {
		return 0, errStopped
	}
	n, err := w.file.WriteAt(b, w.offset)
	w.offset += int64(n)
	return n, err
}

// add puts a row behind the others. One of a part of its first segment ends.
func (x *sealed) add(row *sealedRow) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	if n := len(x.rows); n > 0 && x.rows[n-1].part {
		err = x.rows[n-1].close()
		x.rows = slices.Delete(x.rows, n-1, n)
	}
	x.rows = append(x.rows, row)
	x.foresight.forget()
	return err
}

// replaceRow puts rows in place of one that covers the same segments, unless
// another has come in its place.
func (x *sealed) replaceRow(row *sealedRow, rows ...*sealedRow) error {
	if !x.has(row) {
		return errStopped
	}
	_, err := x.replace(rows...)
	return err
}

// has reports whether a row is in use.
func (x *sealed) has(row *sealedRow) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Contains(x.rows, row)
}

// rowOf returns the row that covers the whole of a segment; nil if there is none.
func (x *sealed) rowOf(segment int) *sealedRow {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, r := range x.rows {
		if r.first <= segment && segment < r.next() {
			return r
		}
	}
	return nil
}

// replace puts rows in place of those that cover the same segments, and
// closes these. Their files stay.
func (x *sealed) replace(rows ...*sealedRow) (old []*sealedRow, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	last := rows[len(rows)-1]
	from := slices.IndexFunc(x.rows, func(r *sealedRow) bool { return r.first == rows[0].first })
	to := slices.IndexFunc(x.rows, func(r *sealedRow) bool { return r.next() == last.next() && r.part == last.part })
	if x.closed || from < 0 || to < from {
		return nil, errStopped
	}
	old = slices.Clone(x.rows[from : to+1])
	x.rows = slices.Replace(x.rows, from, to+1, rows...)
	x.foresight.forget()
	_ = closeRows(old) // they were only read from
	return old, nil
}

func (r *sealedRow) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

func closeRows(rows []*sealedRow) (err error) {
	for _, r := range rows {
		err = errors.Join(err, r.close())
	}
	return err
}

// unused returns those of the named files that no row was read from.
func (x *sealed) unused(names []string) (unused []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, name := range names {
		if !slices.ContainsFunc(x.rows, func(r *sealedRow) bool { return r.name == x.log.path(name) }) {
			unused = append(unused, name)
		}
	}
	return unused
}

func (x *sealed) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var errs []error
	if !x.closed {
		x.closed = true
		for _, row := range x.rows {
			errs = append(errs, row.close())
		}
	}
	return errors.Join(errs...)
}
