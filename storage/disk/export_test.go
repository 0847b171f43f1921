package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// Told is an append, an import or a deletion, as the log tells of it.
type Told struct {
	ID         daybook.ID // of an import, that of its first append
	At         time.Time
	Changesets []daybook.ChangesetReceipt
	Bare       []bool                    // which of these have lost their content to a compaction
	Deletion   *daybook.RecordedDeletion // nil: it is none
}

// Told returns what was done to the log, in its order, as far as it is shown:
// what is hidden too.
func (d *Driver) Told() (told []Told, err error) {
	err = d.with(func(l *log) error {
		told, err = l.tell()
		return err
	})
	return told, err
}

func (l *log) tell() (told []Told, err error) {
	l.mu.RLock()
	segments := slices.Clone(l.segments)
	limits := make([]int64, len(segments))
	for i, s := range segments {
		limits[i] = s.end
	}
	l.mu.RUnlock()
	for i, s := range segments {
		var one Told
		_, err := l.reader(s, limits[i], scanChunk).walk(segmentHeaderSize, func(f *frame) error {
			if f.kind != kindDeletion && !f.isChangeset() {
				return nil
			}
			summary, ok := summarise(f, s.number)
			if !ok {
				return errUndecodable
			}
			if made := summary.deletion; made != nil {
				told = append(told, Told{ID: made.ID, At: summary.recorded, Deletion: &made.RecordedDeletion})
				return nil
			}
			if one.Changesets == nil {
				one = Told{ID: summary.appendID, At: summary.recorded}
			}
			one.Changesets, one.Bare = append(one.Changesets, summary.receipt()), append(one.Bare, f.kind == kindBones)
			if !f.more() {
				told, one = append(told, one), Told{}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return told, nil
}

// Closing returns a channel that is closed when Close begins.
func (d *Driver) Closing() <-chan struct{} { return d.life.Done() }

// ForgeIndex puts an index file into the store in dir that fits its first
// segment in everything, and tells of the first segment of another store.
func ForgeIndex(dir, other string) error {
	from, err := Open(other, &Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := Open(dir, &Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer to.Close()
	told, err := from.log.index.sealed.read(from.log.segments[0], nil)
	if err != nil {
		return err
	}
	return forge(to.log, told)
}

// forge puts an index file into a store that fits its first segment, and tells
// what a part tells. All others are removed.
func forge(l *log, told *part) error {
	old, err := filepath.Glob(l.path("*" + indexSuffix))
	for _, name := range old {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return err
	}
	x := l.index.sealed
	return durable.Write(durable.OS, l.path(indexName(1, 1)), func(file File) error {
		_, err := told.write(&fileWriter{file: file, stopping: &x.stopping}, x.store, l.segments[0])
		return err
	})
}

// SettleIndexes waits until there are index files of all sealed segments, and
// merges them as far as that is due.
func SettleIndexes(d *Driver) error {
	x, s := d.log.index.sealed, d.sealer
	for {
		s.mu.Lock()
		progress, below, failed := s.progress, s.below, s.failed
		s.mu.Unlock()
		if failed != nil {
			return failed
		}
		if x.next() >= below {
			break
		}
		<-progress
	}
	for {
		if _, err := x.merge(); err != nil {
			return err
		}
		x.making.Lock() // until who merges, or compacts, has ended
		x.mu.RLock()
		_, due := dueForMerge(x.rows)
		x.mu.RUnlock()
		x.making.Unlock()
		if !due {
			return nil
		}
	}
}

// IndexesAnew returns what the index file of each sealed segment is if that is
// read alone, by the name of the file.
func IndexesAnew(dir string) (map[string][]byte, error) {
	d, err := Open(dir, &Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	x := d.log.index.sealed
	all := map[string][]byte{}
	var rows []*sealedRow
	for _, s := range d.log.segments[:len(d.log.segments)-1] {
		p, err := x.read(s, rows)
		if err != nil {
			return nil, err
		}
		var to bytes.Buffer
		if _, err := p.write(&to, x.store, s); err != nil {
			return nil, err
		}
		all[indexName(s.header.first, s.header.first)] = to.Bytes()
		row, err := x.writePart(s, p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return all, nil
}
