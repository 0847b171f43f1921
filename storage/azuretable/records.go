package azuretable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// recordRow returns the row of a record: the columns of MessageHandler's layout,
// and beside them what they cannot tell. Of a record that does not fit into a row
// it tells where it stands; the rest is read from its page.
func recordRow(r *daybook.Record) *entity {
	row := plainRow(r)
	details := globalorder.EncodeDetails(r)
	if len(details) <= maxBinary {
		row.binary("Daybook", details)
		if row.content("Body", r.Data) {
			return row
		}
	}
	row = plainRow(r)
	row.flag("InPage")
	return row
}

func plainRow(r *daybook.Record) *entity {
	row := newEntity(recordsPartition(r.Stream), source(r.Stream)+"_"+versionKey(r.Version))
	row.text("EventType", r.Type)
	row.text("SourceId", r.Stream.Key())
	if r.Version <= sixDigits {
		row.set("Version", int64(r.Version), 4) // as the seed has it, of 32 bits
	} else {
		row.number("Version", int64(r.Version))
	}
	row.number("Position", int64(r.Position))
	return row
}

// errForeign is the error for a row that is not of the stream.
var errForeign = errors.New("a row of another stream")

// readRecord returns the record of a row.
func (s *storage) readRecord(ctx context.Context, row *entity, id daybook.StreamID, pages *pageCache) (daybook.Record, error) {
	version, isVersion := parseVersion(strings.TrimPrefix(row.key(), source(id)+"_"))
	if !isVersion {
		return daybook.Record{}, errForeign // its key goes on where ours ends
	}
	if !row.has("Position") {
		return daybook.Record{}, errForeign // written by another program, and never taken into the log
	}
	if row.readFlag("InPage") {
		r, err := pages.record(ctx, s, daybook.Position(row.readNumber("Position")))
		if err == nil && (r.Stream != id || r.Version != version) {
			err = corrupt(row, "its page holds another record at its position")
		}
		return r, err
	}
	r, err := globalorder.DecodeDetails(row.readBinary("Daybook"))
	if err != nil {
		return r, err
	}
	if r.Stream != id || r.Version != version {
		return r, corrupt(row, fmt.Sprintf("it holds version %d of stream %q", r.Version, r.Stream))
	}
	r.Data = row.readContent("Body")
	return r, nil
}

// pageCache is the page that was read last.
type pageCache struct{ last *globalorder.Page }

// record returns the record at a position.
func (c *pageCache) record(ctx context.Context, s *storage, position daybook.Position) (daybook.Record, error) {
	if r, found := c.find(position); found {
		return r, nil
	}
	number, err := s.Seek(ctx, position)
	if err != nil {
		return daybook.Record{}, err
	}
	for stored, err := range s.Pages(ctx, number, number) {
		if err == nil {
			c.last, err = globalorder.Decode(&stored)
		}
		if err != nil {
			return daybook.Record{}, err
		}
	}
	if r, found := c.find(position); found {
		return r, nil
	}
	return daybook.Record{}, fmt.Errorf("%w: page %d does not hold position %d", daybook.ErrCorrupt, number, position)
}

func (c *pageCache) find(position daybook.Position) (daybook.Record, bool) {
	if c.last == nil {
		return daybook.Record{}, false
	}
	for r := range c.last.Records() {
		if r.Position == position {
			return *r, true
		}
	}
	return daybook.Record{}, false
}

// Records implements globalorder.Storage.
func (s *storage) Records(ctx context.Context, id daybook.StreamID, from, to daybook.Version, backwards bool) iter.Seq2[daybook.Record, error] {
	if backwards {
		return s.recordsBack(ctx, id, from, to)
	}
	return func(yield func(daybook.Record, error) bool) {
		// Versions of six digits first: the keys of longer ones go on in letters,
		// and with them those of other streams whose names begin with this one.
		last, more := daybook.Version(0), true
		if from <= sixDigits {
			last, more = s.recordsIn(ctx, id, from, min(to, sixDigits), yield)
		}
		if more && to > sixDigits && (from > sixDigits || last == sixDigits) {
			s.recordsIn(ctx, id, max(from, sixDigits+1), to, yield)
		}
	}
}

// recordsIn yields the records of a range of versions; it returns the last one,
// and whether more are wanted.
func (s *storage) recordsIn(
	ctx context.Context, id daybook.StreamID, from, to daybook.Version, yield func(daybook.Record, error) bool,
) (last daybook.Version, more bool) {
	prefix := source(id) + "_"
	pages := &pageCache{}
	for row, err := range s.query(ctx, within(recordsPartition(id), prefix+versionKey(from), prefix+versionKey(to)+"!"), nil) {
		var r daybook.Record
		if err == nil {
			r, err = s.readRecord(ctx, row, id, pages)
		}
		if errors.Is(err, errForeign) {
			continue
		}
		if !yield(r, err) || err != nil {
			return last, false
		}
		last = r.Version
	}
	return last, true
}

// The rows that a read backwards takes at once: few at first, since most such
// reads want the end of a stream.
const (
	firstBack = 50
	mostBack  = 1000 // what the service answers at once
)

func (s *storage) recordsBack(ctx context.Context, id daybook.StreamID, from, to daybook.Version) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		n := daybook.Version(firstBack)
		for to >= from {
			low := max(to-n+1, from)
			var some []daybook.Record
			var failed error
			s.recordsIn(ctx, id, low, to, func(r daybook.Record, err error) bool {
				failed = err
				some = append(some, r)
				return err == nil
			})
			if failed != nil {
				yield(daybook.Record{}, failed)
				return
			}
			for i := len(some) - 1; i >= 0; i-- {
				if !yield(some[i], nil) {
					return
				}
			}
			to, n = low-1, min(4*n, mostBack)
		}
	}
}

// Settle implements globalorder.Storage.
func (s *storage) Settle(ctx context.Context, settled *globalorder.Settlement) error {
	groups := map[string][]aztables.TransactionAction{}
	put := func(row *entity) {
		partition := row.readText("PartitionKey")
		groups[partition] = append(groups[partition], aztables.TransactionAction{
			ActionType: aztables.TransactionTypeInsertMerge, Entity: row.bytes(),
		})
	}
	for _, c := range settled.Changesets {
		for i := range c.Records {
			put(recordRow(&c.Records[i]))
		}
	}
	for _, a := range settled.Appends {
		row := newEntity(appendsPartition, a.ID.String())
		row.number("Page", a.Page)
		put(row)
	}
	var works []func() error
	for _, actions := range groups {
		for _, batch := range batches(actions) {
			works = append(works, func() error {
				_, err := s.submit(ctx, s.table, batch)
				return err
			})
		}
	}
	works = append(works, s.settleStamped(ctx, settled)...)
	return together(settleAtOnce, works)
}

// settleAtOnce is how many batches are under way at once when pages are settled.
const settleAtOnce = 8

// batches cuts actions on one partition into batches that the service takes.
func batches(actions []aztables.TransactionAction) (cut [][]aztables.TransactionAction) {
	size, from := 0, 0
	for i := range actions {
		more := len(actions[i].Entity) + rowOverhead
		if i > from && (i-from == maxRows || size+more > maxBatchBytes) {
			cut = append(cut, actions[from:i])
			size, from = 0, i
		}
		size += more
	}
	if from < len(actions) {
		cut = append(cut, actions[from:])
	}
	return cut
}
