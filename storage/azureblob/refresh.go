package azureblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/daybook-go/daybook"
)

// flight is one look at what others have written. Whoever asks before it has
// begun shares it.
type flight struct {
	done chan struct{} // closed when err is set
	err  error
}

// refresh takes in everything that was stored before it was called. Those who
// ask at once share one request.
func (d *Driver) refresh(ctx context.Context) error {
	d.flights.Lock()
	f := d.next
	if f == nil {
		f = &flight{done: make(chan struct{})}
		d.next = f
		if !d.flying {
			d.flying = true
			go d.fly()
		}
	}
	d.flights.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fly looks as long as somebody asks.
func (d *Driver) fly() {
	for {
		d.flights.Lock()
		f := d.next
		d.next = nil
		if f == nil {
			d.flying = false
			d.flights.Unlock()
			return
		}
		d.flights.Unlock()
		f.err = d.again(d.life, "reading the log", d.catchUp)
		close(f.done)
	}
}

// catchUp reads what stands behind the known end, through all parts.
func (d *Driver) catchUp(ctx context.Context) error {
	for {
		l := &d.log
		l.mu.RLock()
		at, full, damaged := l.tail, l.full, l.damaged
		l.mu.RUnlock()
		if damaged != nil {
			return damaged
		}
		if !full {
			var err error
			full, err = d.readPart(ctx, d.origin.name(at.part), at)
			switch {
			case errors.Is(err, errMissing) && at.offset > 0:
				return &daybook.CorruptError{File: d.origin.name(at.part), Offset: at.offset, Position: d.end() + 1, Reason: "it was there and is gone: open the store again, from a backup"}
			case errors.Is(err, errMissing):
				l.mu.Lock()
				l.absent = l.tail == at
				l.mu.Unlock()
				return nil
			case err != nil || !full:
				return err
			}
		}
		if at.part == d.origin.last() {
			return nil
		}
		following := place{part: at.part + 1}
		_, err := d.readPart(ctx, d.origin.name(following.part), following)
		if errors.Is(err, errMissing) {
			l.mu.Lock()
			l.full = l.tail.part == at.part
			l.mu.Unlock()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// How much is read before it is folded: the first piece, and the longest, which
// holds every write whole.
const (
	firstPiece   = 64 << 10
	longestPiece = 2 * maxBlock
)

// readPart folds what a part holds from a place on, and reports whether the part
// is full, and was when it was read. A part that is there is moved to.
func (d *Driver) readPart(ctx context.Context, name string, at place) (full bool, err error) {
	p, err := d.origin.read(ctx, name, at.offset)
	if err != nil {
		return false, err
	}
	defer p.Close()
	if p.length >= 0 && p.length < at.offset {
		return false, &daybook.CorruptError{
			File: name, Offset: p.length, Position: d.end() + 1,
			Reason: fmt.Sprintf("it has %d bytes, and had %d: it was replaced, open the store again", p.length, at.offset),
		}
	}
	d.log.moveTo(at.part)
	rest, err := d.fold(p, name, at)
	if err != nil {
		return false, err
	}
	if rest > 0 {
		l := &d.log
		l.mu.RLock()
		defer l.mu.RUnlock()
		return false, &daybook.CorruptError{File: name, Offset: l.tail.offset, Position: l.state.last + 1, Reason: fmt.Sprintf("it ends with %d bytes that are not whole", rest)}
	}
	return p.full, nil
}

// fold folds what comes from a place on, and returns how many bytes at its end
// are not a whole write.
func (d *Driver) fold(from io.Reader, name string, at place) (rest int, err error) {
	var buffer bytes.Buffer
	want := firstPiece
	for {
		_, err := io.CopyN(&buffer, from, int64(want-buffer.Len()))
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, &brokenReadError{err}
		}
		ended := err != nil
		done, err := d.log.take(at, name, buffer.Bytes())
		if err != nil {
			return 0, err
		}
		at.offset += int64(done)
		buffer.Next(done)
		if ended || buffer.Len() >= longestPiece {
			return buffer.Len(), nil
		}
		want = min(2*want, longestPiece)
	}
}

// end returns the position of the last record that is known.
func (d *Driver) end() daybook.Position {
	d.log.mu.RLock()
	defer d.log.mu.RUnlock()
	return d.log.state.last
}
