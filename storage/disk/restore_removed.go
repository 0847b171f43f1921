package disk

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/daybook-go/daybook"
)

// removal is what a bounded restore finds in front of its bound without content:
// a compaction has carried out deletions that stand behind it. The copy cannot
// have what is gone, and must not miss it without a trace, so it records at its
// end that this was deleted.
type removal struct {
	hidden  map[daybook.StreamID]daybook.Version // by deletions in front of the bound
	number  daybook.DeletionNumber               // the last of those
	streams []*deletion                          // one of each stream with more that is gone
	byID    map[daybook.StreamID]*deletion
	ordinal daybook.Ordinal // the last
	latest  int64           // the last recorded time
}

// removalReason is the Why of such a deletion.
const removalReason = "restored to a point before a deletion whose content a compaction had removed"

// recordRemoval puts behind the end of the copy the deletions of what is gone,
// and returns the end behind them. The file is not the last one for good before
// END says so, and a restore that is repeated copies it again.
func (c *copying) recordRemoval(last *foundSegment, end int64, position daybook.Position) (int64, error) {
	upTo, found := 0, false
	for i := range c.found.found {
		if f := &c.found.found[i]; f.header.first <= last.header.first {
			upTo, found = i, found || f.header.generation > 0
		}
	}
	if !found {
		return end, nil
	}
	r := removal{
		hidden: map[daybook.StreamID]daybook.Version{}, byID: map[daybook.StreamID]*deletion{},
		ordinal: last.header.ordinal - 1, latest: micros(last.header.floor),
	}
	for _, visit := range []func(*frame) error{r.hide, r.find} {
		if err := c.walkCopy(upTo, end, visit); err != nil {
			return 0, err
		}
	}
	frames := c.removalFrames(&r, last, end, position)
	name := filepath.Join(c.to, filepath.Base(last.name))
	file, err := c.fs.OpenWrite(name)
	if err != nil {
		return 0, err
	}
	err = writeAll(file, frames, end)
	end += int64(len(frames))
	if err == nil && last.header.generation > 0 {
		// It is cut, and written on: what is behind it will expect another size.
		first := make([]byte, compactedSize)
		(compacted{original: end, now: end}).put(first, &last.header, last.seed)
		err = writeAll(file, first, segmentHeaderSize)
	}
	if err == nil {
		err = file.Sync()
	}
	c.report.Deletions = len(r.streams)
	return end, errors.Join(err, file.Close())
}

// walkCopy visits the frames of the copy, in the segments up to a number, which
// ends at an offset.
func (c *copying) walkCopy(upTo int, end int64, visit func(*frame) error) error {
	for i := range c.found.found[:upTo+1] {
		f := &c.found.found[i]
		file, err := c.fs.Open(filepath.Join(c.to, filepath.Base(f.name)))
		if err != nil {
			return err
		}
		limit := f.sealed
		if i == upTo {
			limit = end
		}
		r := &frameReader{source: file, seed: f.seed, limit: limit, chunk: scanChunk}
		_, err = r.walk(segmentHeaderSize, func(fr *frame) error { return errors.Join(visit(fr), c.ctx.Err()) })
		if fault, ok := errors.AsType[*frameError](err); ok {
			err = corruptAt(f, fault, 0)
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// hide takes in what the deletions in front of the bound hide.
func (r *removal) hide(f *frame) error {
	if f.kind != kindDeletion {
		return nil
	}
	d, ok := decodeDeletion(f)
	if !ok {
		return &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	r.number = d.Receipt.Number
	r.hidden[d.Stream] = max(r.hidden[d.Stream], d.hides().Through)
	return nil
}

// find finds what is gone besides.
func (r *removal) find(f *frame) error {
	r.latest, r.ordinal = f.recorded, f.ordinal
	if !f.isChangeset() {
		return nil
	}
	parts, ok := decodeChangeset(f)
	if !ok {
		return &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	d := r.byID[parts.stream]
	last := f.first + daybook.Version(f.count) - 1
	if f.kind != kindBones || last <= r.hidden[parts.stream] {
		if d != nil {
			d.emptied = false
		}
		return nil
	}
	if d == nil {
		d = &deletion{}
		d.Stream = keptStream(parts.stream)
		r.byID[d.Stream], r.streams = d, append(r.streams, d)
	}
	d.Receipt.Through, d.emptied = last, true
	d.Receipt.Changesets++
	d.Receipt.Records += int64(f.count)
	return nil
}

// removalFrames returns the frames of the deletions, for an end of a segment
// behind the last position.
func (c *copying) removalFrames(r *removal, last *foundSegment, end int64, position daybook.Position) (frames []byte) {
	for i, d := range r.streams {
		d.Receipt.Number = r.number + 1 + daybook.DeletionNumber(i)
		d.ID = daybook.IDOf(fmt.Sprintf("restored %s position %d deletion %d", c.found.ID, position, d.Receipt.Number))
		d.Scrub, d.Why, d.Deletion.Through = true, removalReason, d.Receipt.Through
		d.Receipt.RecordedAt = fromMicros(r.latest)
		at := len(frames)
		body := d.body()
		h := d.header(position+1, r.ordinal, body)
		h.durable = segmentHeaderSize
		frames = append(append(frames, make([]byte, frameHeaderSize)...), body...)
		h.put(frames[at:], last.seed, end+int64(at))
	}
	return frames
}
