package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// survey is what the files of a store tell before any frame is read.
type survey struct {
	identity
	live   bool // a writer has the store open
	mark   endMark
	marked bool           // there is a sound mark
	found  []foundSegment // in order, up to the first that does not fit
	// fault is what does not fit behind the last of found; nil if all fits.
	fault   *daybook.CorruptError
	stray   []string // unfinished files
	indexes []string // index files, by what they cover
}

type foundSegment struct {
	name   string
	header segmentHeader
	seed   uint32
	size   int64
	// sealed is the size that it must have, by the next segment; 0 for the last.
	sealed    int64
	compacted compacted
}

// takeSurvey looks at the files of the store in dir. A reader asks besides
// whether there is a writer, since then the mark bounds what it may see.
func takeSurvey(fsys FS, dir string, reader bool) (survey, error) {
	var s survey
	var err error
	if s.identity, err = readIdentity(fsys, dir); err != nil {
		return s, err
	}
	if reader {
		s.live, err = fsys.Locked(filepath.Join(dir, lockName))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, fmt.Errorf("disk: look for a writer: %w", err)
		}
	}
	for range mostLists {
		names, err := fsys.List(dir)
		if err != nil {
			return s, err
		}
		// The mark before the segments: it never tells of a segment that is not
		// there yet.
		if s.mark, s.marked, err = loadEndMark(fsys, dir, s.ID); err != nil {
			return s, err
		}
		if err := s.list(fsys, dir); err != nil {
			return s, err
		}
		if !s.isCompactedSince(names) {
			break
		}
	}
	return s, refuseNewerIndexes(fsys, dir, s.indexes)
}

// isCompactedSince reports whether a segment was compacted after the names were
// listed: then the mark may not tell of the deletions that it was compacted for.
func (s *survey) isCompactedSince(names []string) bool {
	return slices.ContainsFunc(s.found, func(f foundSegment) bool {
		return f.header.generation > 0 && !slices.Contains(names, filepath.Base(f.name))
	})
}

// mostLists is how often the files are listed: while they are looked at, a
// compaction may put others in their place.
const mostLists = 100

// list finds the segments and how they fit together.
func (s *survey) list(fsys FS, dir string) (err error) {
	for range mostLists {
		s.found, s.fault, s.stray, s.indexes = nil, nil, nil, nil
		if err = s.listOnce(fsys, dir); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// loadEndMark reads the mark of the store in dir.
func loadEndMark(fsys FS, dir string, store daybook.ID) (m endMark, ok bool, err error) {
	file, err := fsys.Open(filepath.Join(dir, endName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	defer file.Close()
	if m, ok, err = readEndMark(file, store); err != nil || ok {
		return m, ok, err
	}
	b := make([]byte, endSize)
	if n, _ := file.ReadAt(b, 0); n == endSize { // of one that cannot be read nothing is known
		if version, newer := newer(b, endMagic); newer {
			return m, false, &FormatError{Dir: dir, File: endName, Version: version, Known: formatVersion}
		}
	}
	return m, false, nil
}

func (s *survey) listOnce(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	latest := latestGenerations(names)
	for _, name := range names {
		if target, unfinished := strings.CutSuffix(name, durable.Unfinished); unfinished && isOurs(target) {
			s.stray = append(s.stray, name)
		}
		if _, _, ok := indexSpan(name); ok {
			s.indexes = append(s.indexes, name)
		}
		first, ok := segmentFirst(name)
		if ok && latest[first] != name {
			s.stray = append(s.stray, name)
			continue
		}
		if !ok || s.fault != nil || s.bounded() && first > s.mark.segment {
			continue
		}
		if err := s.look(fsys, filepath.Join(dir, name), first); err != nil {
			return err
		}
	}
	missing := daybook.Position(1)
	if s.marked {
		missing = s.mark.segment
	}
	if n := len(s.found); s.fault == nil && (n == 0 || s.marked && s.found[n-1].header.first < missing) {
		s.fault = missingSegment(dir, missing)
	}
	return nil
}

// isOurs reports whether a store has a file of that name.
func isOurs(name string) bool {
	_, isSegment := segmentFirst(name)
	_, _, isIndex := indexSpan(name)
	return isSegment || isIndex || name == identityName || name == endName || name == lockName || name == spareName ||
		name == restoreName || name == recoveryName || name == reindexName
}

// bounded reports whether the mark bounds what may be seen.
func (s *survey) bounded() bool { return s.live && s.marked }

// look adds the segment that begins at a position, or says why it does not fit.
func (s *survey) look(fsys FS, name string, first daybook.Position) error {
	dir := filepath.Dir(name)
	f := foundSegment{name: name}
	file, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if f.size, err = file.Size(); err != nil {
		return err
	}
	b, err := headerOf(file)
	if err != nil {
		return err
	}
	if len(b) == segmentHeaderSize {
		if version, newer := newer(b, segmentMagic); newer {
			return &FormatError{Dir: dir, File: filepath.Base(name), Version: version, Known: formatVersion}
		}
	}
	var reason string
	f.header, f.seed, reason = decodeSegmentHeader(b)
	switch {
	case reason != "":
	case f.header.store != s.ID:
		reason = fmt.Sprintf("the segment belongs to another store, %s", f.header.store)
	case f.header.first != first:
		reason = fmt.Sprintf("the segment begins at position %d, not where its name says", f.header.first)
	case generationName(first, f.header.generation) != filepath.Base(name):
		reason = fmt.Sprintf("the segment is of generation %d, not of the one that its name says", f.header.generation)
	case f.header.generation > 0:
		if f.compacted, reason, err = readCompacted(file, f.seed); err != nil {
			return err
		}
	}
	if reason != "" {
		s.fault = &daybook.CorruptError{File: name, Position: first, Reason: reason}
		return nil
	}
	var before *foundSegment
	var expected daybook.Position
	if len(s.found) > 0 {
		before = &s.found[len(s.found)-1]
		expected = before.header.first
	}
	if f.header.previous != expected {
		s.fault = missingSegment(dir, f.header.previous)
		return nil
	}
	if before != nil {
		before.sealed = before.compacted.sizeFor(f.header.previousBytes)
	}
	s.found = append(s.found, f)
	return nil
}

// headerOf returns the bytes of a segment's header, as many as there are.
func headerOf(file File) ([]byte, error) {
	b := make([]byte, segmentHeaderSize)
	n, err := file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}

func missingSegment(dir string, first daybook.Position) *daybook.CorruptError {
	return &daybook.CorruptError{
		File: filepath.Join(dir, segmentName(first)), Position: first, Reason: "the file is missing",
	}
}
