package disk

import (
	"hash/crc32"
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
)

// maxAppendBytes bounds the frames of one append or import.
const maxAppendBytes = 1 << 30

// draft is an append or import as it will stand in the log, but for what is
// only known once it is decided: the fields of the frames' headers. It is made
// before the lock of the writer is taken.
type draft struct {
	buf    []byte // the frames, their headers blank
	frames []draftFrame
}

type draftFrame struct {
	header  frameHeader
	summary *summary
	at      int // in buf
}

var drafts = sync.Pool{New: func() any { return new(draft) }}

// free lets another append use the memory of d.
func (d *draft) free() {
	const keep = 1 << 20
	if cap(d.buf) > keep {
		return
	}
	clear(d.frames)
	d.buf, d.frames = d.buf[:0], d.frames[:0]
	drafts.Put(d)
}

// add encodes a changeset that belongs to an append.
func (d *draft) add(id daybook.ID, c *daybook.Changeset, positions []daybook.Position) {
	var blank [frameHeaderSize]byte
	at := len(d.buf)
	d.buf = append(d.buf, blank[:]...)
	d.buf = appendBody(d.buf, c, positions)
	body := d.buf[at+frameHeaderSize:]
	f := draftFrame{at: at, header: frameHeader{
		bodyBytes: int64(len(body)), bodySum: crc32.Checksum(body, castagnoli), count: len(c.Events), appendID: id,
	}}
	if positions != nil {
		f.header.flags |= flagGaps
	}
	f.summary = &summary{
		stream: c.Stream, appendID: id, count: len(c.Events),
		claims: slices.Clone(c.Claims), releases: slices.Clone(c.Releases),
		selectors: make([]selectors, len(c.Events)),
	}
	for i := range c.Events {
		f.summary.selectors[i] = selectors{eventType: c.Events[i].Type, tags: slices.Clone(c.Events[i].Tags)}
	}
	if len(d.frames) > 0 {
		d.frames[len(d.frames)-1].header.flags |= flagMore
	}
	d.frames = append(d.frames, f)
}

// draftAppend encodes an append.
func draftAppend(a *daybook.Append) (*draft, error) {
	d := drafts.Get().(*draft)
	for i := range a.Changesets {
		d.add(a.ID, &a.Changesets[i], nil)
		if err := d.checkSize(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// draftImport encodes an import.
func draftImport(changesets []daybook.RecordedChangeset) (*draft, error) {
	d := drafts.Get().(*draft)
	for i := range changesets {
		r := &changesets[i]
		c := daybook.Changeset{
			Stream: r.Stream, Metadata: r.Metadata, Claims: r.Claims, Releases: r.Releases,
			References: r.References, Events: make([]daybook.Event, len(r.Records)),
		}
		var positions []daybook.Position
		first, last := r.Records[0].Position, r.Records[len(r.Records)-1].Position
		if last-first != daybook.Position(len(r.Records)-1) {
			positions = make([]daybook.Position, len(r.Records))
		}
		for j := range r.Records {
			c.Events[j] = r.Records[j].Event
			if positions != nil {
				positions[j] = r.Records[j].Position
			}
		}
		d.add(r.AppendID, &c, positions)
		for j := range r.Records {
			d.frames[i].summary.selectors[j].position = r.Records[j].Position
		}
		if err := d.checkSize(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *draft) checkSize() error {
	if n := int64(len(d.buf)); n > maxAppendBytes {
		return &daybook.LimitError{Field: "append", Value: n, Limit: maxAppendBytes, Unit: "bytes"}
	}
	return nil
}
