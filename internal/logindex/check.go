package logindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Fault is a piece of an index that cannot be right.
type Fault struct {
	Offset int64 // of the piece in the file
	Reason string
}

// Tally counts what stands in the table of an index.
type Tally struct {
	Appends     int64
	Claims      int64
	Streams     int64
	Changesets  int64 // of streams
	Tags        int64 // positions, as in the rest
	Partitions  int64
	StreamTypes int64
	Types       int64
	Deletions   int64
	DeletionIDs int64
	Hidings     int64
}

// Check reads every piece of an index that Open has not verified, and decodes
// it. It tells of each that cannot be right, and goes on behind it. The error is
// one of reading, or the end of ctx.
func (r *Run) Check(ctx context.Context, tell func(Fault)) (Tally, error) {
	c := checking{run: r, tell: tell}
	for page := range r.table.pages() {
		if err := ctx.Err(); err != nil {
			return c.tally, err
		}
		if err := c.page(page); err != nil {
			return c.tally, err
		}
	}
	if c.pending {
		c.fault(r.tableEnd, "a stream does not tell where it ends")
	}
	block := make([]byte, filterBlock)
	for i := range r.others.blocks {
		offset := r.others.offset + int64(i)*filterBlock
		_, err := readPiece(r.from, r.seed, offset, block)
		if err = c.note(offset, err); err != nil {
			return c.tally, err
		}
	}
	for i := range r.segments {
		_, err := r.Marks(i)
		if err = c.note(r.marksOffset(i), err); err != nil {
			return c.tally, err
		}
	}
	return c.tally, nil
}

// checking is a check on its way.
type checking struct {
	run     *Run
	tell    func(Fault)
	tally   Tally
	last    []byte // the key before
	list    []byte // of the stream that is met
	pending bool   // its last chunk does not tell where it ends
	chunk   chunk
	raw     rawChunk
	ids     idChunk
}

func (c *checking) fault(offset int64, reason string) { c.tell(Fault{offset, reason}) }

// note tells of an error about the index, and returns any other.
func (c *checking) note(offset int64, err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	c.fault(offset, err.Error())
	return nil
}

func (c *checking) page(page int) error {
	t := c.run.table
	offset := t.offsets[page]
	data, err := t.read(page, nil)
	if err != nil {
		c.last, c.pending = nil, false
		return c.note(offset, err)
	}
	e := entries{rest: data}
	for first := true; e.next(); first = false {
		if first && !bytes.Equal(e.key, t.firstKey(page)) {
			c.fault(offset, "the page begins with another key than its fence")
		}
		if c.last != nil && bytes.Compare(e.key, c.last) <= 0 {
			c.fault(offset, "its keys do not rise")
		}
		c.last = append(c.last[:0], e.key...)
		if err := c.note(offset, c.entry(e.key, e.value)); err != nil {
			return err
		}
	}
	return c.note(offset, e.err)
}

// entry decodes an entry and counts what stands in it.
func (c *checking) entry(key, value []byte) error {
	numbers := map[byte]*int64{
		keyTag: &c.tally.Tags, keyPartition: &c.tally.Partitions, keyStreamType: &c.tally.StreamTypes, keyType: &c.tally.Types,
	}
	if c.pending && (key[0] != keyStream || len(key) < numberBytes || !bytes.Equal(c.list, key[:len(key)-numberBytes])) {
		c.pending = false
		return fmt.Errorf("%w: a stream does not tell where it ends", ErrDamaged)
	}
	switch kind := key[0]; kind {
	case keyAppend:
		if err := c.ids.parse(key, value); err != nil {
			return err
		}
		c.tally.Appends += int64(c.ids.len())
		return nil
	case keyClaim:
		c.tally.Claims++
		return nil
	case keyDeletion: // who wrote it knows what it means
		c.tally.Deletions++
		return nil
	case keyDeletionID:
		c.tally.DeletionIDs++
		_, err := decodeNumber(value)
		return err
	case keyHiding:
		c.tally.Hidings++
		_, err := decodeHiding(value)
		return err
	case keyStream:
		return c.stream(key, value)
	default:
		count := numbers[kind]
		if count == nil {
			return fmt.Errorf("%w: an entry of an unknown kind, %d", ErrDamaged, kind)
		}
		if err := c.chunk.decode(key, value); err != nil {
			return err
		}
		*count += int64(len(c.chunk.numbers))
		return nil
	}
}

func (c *checking) stream(key, value []byte) error {
	if err := c.chunk.decode(key, value); err != nil {
		return err
	}
	if err := c.raw.parse(key, value); err != nil {
		return err
	}
	c.tally.Changesets += int64(len(c.chunk.numbers))
	if list := key[:len(key)-numberBytes]; !bytes.Equal(c.list, list) {
		c.list = append(c.list[:0], list...)
		c.tally.Streams++
	}
	if c.pending = !c.raw.ends(); c.pending {
		return nil
	}
	head, err := decodeHead(c.raw.head)
	if err == nil && (head.Version < daybook.Version(c.chunk.last()) || head.Position > c.run.totals.LastPosition) {
		err = fmt.Errorf("%w: the head of a stream contradicts its changesets", ErrDamaged)
	}
	return err
}
