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
//
// Its summaries share the memory of what they tell about.
type draft struct {
	buf       []byte // the frames, their headers blank
	frames    []draftFrame
	summaries []*summary // of the frames
	selectors []selectors
	// receipts are for the caller of an append, and filled in as it is decided.
	receipts []daybook.ChangesetReceipt
}

type draftFrame struct {
	header  frameHeader
	summary summary
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
	clear(d.summaries)
	clear(d.selectors)
	d.receipts = nil
	d.buf, d.frames, d.summaries, d.selectors = d.buf[:0], d.frames[:0], d.summaries[:0], d.selectors[:0]
	drafts.Put(d)
}

// begin makes room for as many frames and records: what stands in them is
// pointed to.
func (d *draft) begin(frames, records int) {
	d.frames = slices.Grow(d.frames, frames)
	d.summaries = slices.Grow(d.summaries, frames)
	d.selectors = slices.Grow(d.selectors, records)
}

// add encodes a changeset that belongs to an append.
func (d *draft) add(id daybook.ID, c *daybook.Changeset, positions []daybook.Position) {
	var blank [frameHeaderSize]byte
	at := len(d.buf)
	d.buf = append(d.buf, blank[:]...)
	d.buf = appendBody(d.buf, c, positions)
	body := d.buf[at+frameHeaderSize:]
	if n := len(d.frames); n > 0 {
		d.frames[n-1].header.flags |= flagMore
	}
	d.frames = append(d.frames, draftFrame{at: at, header: frameHeader{
		bodyBytes: int64(len(body)), bodySum: crc32.Checksum(body, castagnoli), count: len(c.Events), appendID: id,
	}})
	f := &d.frames[len(d.frames)-1]
	if positions != nil {
		f.header.flags |= flagGaps
	}
	first := len(d.selectors)
	for i := range c.Events {
		d.selectors = append(d.selectors, selectors{eventType: c.Events[i].Type, tags: c.Events[i].Tags})
	}
	f.summary = summary{
		stream: c.Stream, appendID: id, count: len(c.Events), claims: c.Claims, releases: c.Releases,
		selectors: d.selectors[first:],
	}
	d.summaries = append(d.summaries, &f.summary)
}

// draftAppend encodes an append.
func draftAppend(a *daybook.Append) (*draft, error) {
	d := drafts.Get().(*draft)
	records := 0
	for i := range a.Changesets {
		records += len(a.Changesets[i].Events)
	}
	d.begin(len(a.Changesets), records)
	d.receipts = make([]daybook.ChangesetReceipt, len(a.Changesets))
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
	records := 0
	for i := range changesets {
		records += len(changesets[i].Records)
	}
	d.begin(len(changesets), records)
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
