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
	memory    recordMemory
}

func newYielder(ctx context.Context, yield func(daybook.Record, error) bool, limit int, backwards, lent bool) yielder {
	return yielder{ctx: ctx, yield: yield, left: limit, backwards: backwards, memory: newRecordMemory(lent)}
}

// fail yields an error. Nothing may be yielded after it, so it reports that
// there is nothing to go on with.
func (y *yielder) fail(err error) bool {
	y.yield(daybook.Record{}, err)
	return false
}

// records yields those records of a changeset, from one to below another, that
// the query selects; all, if it has no items. The first result reports whether
// to go on; the error, that the changeset cannot be decoded.
func (y *yielder) records(c *changeset, from, to int, query *daybook.Query) (bool, error) {
	m := &y.memory
	pieces, ok := c.cut(m.pieces)
	m.pieces = pieces
	if !ok {
		return false, errUndecodable
	}
	var header *daybook.ChangesetHeader
	recordedAt := fromMicros(c.recorded)
	for n := range to - from {
		i := from + n
		if y.backwards {
			i = to - 1 - n
		}
		if len(query.Items) > 0 {
			var matches bool
			if matches, m.views, ok = pieces[i].matches(query, m.views); !ok {
				return false, errUndecodable
			} else if !matches {
				continue
			}
		}
		if header == nil {
			if !c.decode(m) {
				return false, errUndecodable
			}
			header = c.header(m)
		}
		var record daybook.Record
		if !pieces[i].event(m, recordedAt, &record.Event) {
			return false, errUndecodable
		}
		record.Stream, record.RecordedAt, record.Changeset = c.stream, recordedAt, header
		record.Version, record.Position = c.first+daybook.Version(i), c.positionOf(i)
		if err := y.ctx.Err(); err != nil {
			return y.fail(err), nil
		}
		y.left--
		if !y.yield(record, nil) || y.left == 0 {
			return false, nil
		}
	}
	return true, nil
}
