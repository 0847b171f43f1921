package azureblob

import (
	"errors"
	"sync"

	"github.com/daybook-go/daybook"
)

// log is the log as far as this process knows it: a copy of its bytes, what was
// folded from them, and where they end.
type log struct {
	mu     sync.RWMutex // guards all below
	state  *state
	copy   byteCopy
	size   int64         // of what is known, in bytes
	tail   place         // where it ends
	last   int           // size of the last frame
	absent bool          // the part of the tail is not there
	full   bool          // the part of the tail takes no more, and the next one was not there
	grown  chan struct{} // closed, and replaced, when there are more records
	// damaged is where reading ended when the store was opened, for good: it does
	// not change afterwards.
	damaged *daybook.CorruptError
}

// place is a place in the parts of a log: in append blobs, counted from 0, or
// in a file, which is part 0.
type place struct {
	part   int
	offset int64
}

// byteCopy is a copy of the bytes of a log that can be read at once.
type byteCopy interface {
	// append adds bytes behind the last ones.
	append(data []byte) error
	// drop takes so many of the last bytes away again.
	drop(n int)
	// ReadAt is that of io.ReaderAt; it may run beside append.
	ReadAt(data []byte, offset int64) (int, error)
	// clear forgets all bytes.
	clear() error
	Close() error
}

// take folds as many whole writes as data holds, which begins at a place. It
// returns how many bytes of data it is done with; those behind it are part of a
// write whose end is not in data. What was folded before it passes over.
func (l *log) take(at place, name string, data []byte) (done int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case at.part < l.tail.part || at.offset+int64(len(data)) <= l.tail.offset && at.part == l.tail.part:
		return len(data), nil
	case at.part > l.tail.part || at.offset > l.tail.offset:
		return 0, errors.New("azureblob: bytes that do not follow what is known")
	}
	skip := int(l.tail.offset - at.offset)
	writes, size, damaged := cutWrites(data[skip:], l.size, l.state.key)
	if size > 0 {
		if err := l.copy.append(data[skip : skip+size]); err != nil {
			return 0, err
		}
		before := l.state.last
		folded, bad := l.fold(writes)
		if bad != nil {
			l.copy.drop(size - folded)
			size, damaged = folded, bad
		}
		l.size, l.tail.offset = l.size+int64(size), l.tail.offset+int64(size)
		if l.state.last > before {
			close(l.grown)
			l.grown = make(chan struct{})
		}
	}
	if damaged != nil {
		return skip + size, &daybook.CorruptError{
			File: name, Offset: l.tail.offset + damaged.at, Position: l.state.last + 1, Reason: damaged.reason,
		}
	}
	return skip + size, nil
}

// fold folds writes, and returns how many bytes they have. It stops in front of
// one whose numbers do not follow. The caller holds mu.
func (l *log) fold(writes [][]placed) (size int, bad *damage) {
	for _, write := range writes {
		if reason := l.state.refuses(write); reason != "" {
			return size, &damage{0, reason}
		}
		l.state.add(write)
		for i := range write {
			size, l.last = size+write[i].size, write[i].size
		}
	}
	return size, nil
}

// moveTo takes in that a part is there: if it comes behind that of the tail, the
// tail is there now.
func (l *log) moveTo(part int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if part > l.tail.part {
		l.tail, l.full = place{part: part}, false
	}
	if part == l.tail.part {
		l.absent = false
	}
}

// cutWrites cuts the whole writes that data begins with, which stands at an
// offset of the log and behind a key. It returns how many bytes they have.
func cutWrites(data []byte, offset int64, key uint32) (writes [][]placed, size int, bad *damage) {
	for {
		write, n, err := cutWrite(data[size:], offset+int64(size), key)
		if err != nil {
			if !errors.As(err, &bad) {
				bad = &damage{reason: err.Error()}
			}
			return writes, size, &damage{at: bad.at, reason: bad.reason}
		}
		if n == 0 {
			return writes, size, nil
		}
		writes, size, key = append(writes, write), size+n, write[len(write)-1].key
	}
}

// cutWrite cuts the frames of the write that data begins with; none, and size 0,
// where data ends before it does.
func cutWrite(data []byte, offset int64, key uint32) (write []placed, size int, err error) {
	for frames := 1; len(write) < frames; {
		f, err := cutFrame(data[size:])
		if err != nil || f.size == 0 {
			return nil, 0, moved(err, size)
		}
		if f.key <= key {
			return nil, 0, &damage{int64(size), "the keys of the frames do not rise"}
		}
		d, err := parseDocument(f.payload)
		if err != nil {
			return nil, 0, moved(err, size)
		}
		p := placed{frame: f, offset: offset + int64(size), document: d}
		if len(write) == 0 {
			if d.note != nil {
				frames = d.note.Frames
			}
			if frames < 1 {
				return nil, 0, &damage{0, "a frame belongs to a write whose beginning is not before it"}
			}
		}
		write, size, key = append(write, p), size+f.size, f.key
	}
	return write, size, checkWrite(write)
}

// moved tells of damage that it is so many bytes further on.
func moved(err error, by int) error {
	var bad *damage
	if errors.As(err, &bad) {
		return &damage{bad.at + int64(by), bad.reason}
	}
	return err
}

// checkWrite returns what keeps the frames of a write from being folded.
func checkWrite(write []placed) error {
	for i := 0; i < len(write); {
		n := write[i].note
		switch {
		case len(write) == 1 && n == nil:
			return nil
		case n == nil || n.Append == daybook.ID{} || n.Stream == "" || n.Events < 1 || n.Events > len(write)-i:
			return &damage{write[i].offset - write[0].offset, "the frames of a write are not those of changesets"}
		}
		for _, p := range write[i+1 : i+n.Events] {
			if p.note == nil || p.note.Events > 0 {
				return &damage{p.offset - write[0].offset, "the frames of a changeset do not stand together"}
			}
		}
		i += n.Events
	}
	return nil
}
