package disk

import (
	"context"
	"errors"

	"github.com/daybook-go/daybook"
)

// errUndecodable is the reason for a frame whose checksums match and whose
// body makes no sense.
var errUndecodable = errors.New("the checksums match, but the body cannot be decoded")

// yielder hands records to a caller, who may have had enough.
type yielder struct {
	ctx       context.Context
	yield     func(daybook.Record, error) bool
	left      int // how many more are wanted; all, if it began at 0
	backwards bool
}

// fail yields an error. Nothing may be yielded after it, so it reports that
// there is nothing to go on with.
func (y *yielder) fail(err error) bool {
	y.yield(daybook.Record{}, err)
	return false
}

// records yields those records of a changeset that wanted selects; it says
// besides whether it could decode what it looked at. The first result reports
// whether to go on; the error, that the changeset cannot be decoded.
func (y *yielder) records(c *changeset, wanted func(i int, p *piece) (selected, ok bool)) (bool, error) {
	pieces, ok := c.pieces()
	if !ok {
		return false, errUndecodable
	}
	var header *daybook.ChangesetHeader
	for i := range pieces {
		if y.backwards {
			i = len(pieces) - 1 - i
		}
		selected, ok := wanted(i, &pieces[i])
		if !ok {
			return false, errUndecodable
		}
		if !selected {
			continue
		}
		event, ok := pieces[i].event(c.recorded)
		if !ok {
			return false, errUndecodable
		}
		if header == nil {
			header = c.header()
		}
		record := daybook.Record{
			Event: event, Stream: c.stream, Version: c.first + daybook.Version(i), Position: c.positionOf(i),
			RecordedAt: fromMicros(c.recorded), Changeset: header,
		}
		if !y.record(record) {
			return false, nil
		}
	}
	return true, nil
}

// record yields a record, or the end of the context. It reports whether to go
// on.
func (y *yielder) record(record daybook.Record) bool {
	if err := y.ctx.Err(); err != nil {
		return y.fail(err)
	}
	y.left--
	return y.yield(record, nil) && y.left != 0
}
