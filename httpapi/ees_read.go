package httpapi

import (
	"cmp"
	"context"
	"iter"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// contractVersion is the version of the Elastic Event Store whose contract is
// spoken: its clients ask for it.
const contractVersion = "0.0.1"

func (h *Handler) version(x *exchange) error {
	p := &pretty{x: x}
	p.open('{')
	p.text("version", contractVersion)
	p.text("daybook", h.options.Version)
	p.close('}')
	return nil
}

// statistics tells what the store holds. It is exact at once.
func (h *Handler) statistics(x *exchange) error {
	stats, err := h.store.Stats(x.context())
	if err != nil {
		return err
	}
	p := &pretty{x: x}
	p.open('{')
	p.number("total_streams", stats.Streams)
	p.number("total_changesets", stats.Changesets)
	p.number("total_events", stats.Records)
	p.number("max_stream_length", int64(stats.LongestStream))
	// The checkpoint of a changeset is one less than its ordinal, or than its
	// first position: what comes next has the last one's number or more.
	p.number("statistics_version", cmp.Or(int64(stats.LastOrdinal), int64(stats.LastPosition)))
	p.close('}')
	return nil
}

// existing returns the head of the stream that the path names.
func (h *Handler) existing(x *exchange) (daybook.Head, error) {
	head, err := h.store.Head(x.context(), x.streamID())
	if err == nil && !head.Exists() {
		err = &wire.StreamNotFoundError{Stream: x.streamID()}
	}
	return head, err
}

func (h *Handler) streamChangesets(x *exchange) error {
	return h.streamList(x, codeChangesetRange, "changesets", h.changesetRange)
}

func (h *Handler) streamEvents(x *exchange) error {
	return h.streamList(x, codeEventRange, "events", h.eventRange)
}

// streamList answers with a stream and a named list of what write finds in it
// within the bounds that the request gives.
func (h *Handler) streamList(x *exchange, badRange, name string, write func(*exchange, *pretty, numberRange, daybook.Head) error) error {
	bounds, err := x.numberRange(badRange)
	if err != nil {
		return err
	}
	head, err := h.existing(x)
	if err != nil {
		return err
	}
	p := &pretty{x: x}
	p.open('{')
	p.stream(x.streamID())
	p.key(name)
	p.open('[')
	if err := write(x, p, bounds, head); err != nil {
		return err
	}
	p.close(']')
	p.close('}')
	return nil
}

// changesetRange writes the changesets of a stream whose numbers lie within
// bounds.
func (h *Handler) changesetRange(x *exchange, p *pretty, bounds numberRange, head daybook.Head) error {
	if bounds.to < 1 || bounds.from > int64(head.Changeset) {
		return nil
	}
	from, err := h.versionOf(x.context(), x.streamID(), daybook.ChangesetNumber(bounds.from), head)
	if err != nil {
		return err
	}
	read := daybook.StreamRead{From: from, To: head.Version}
	for changeset, err := range daybook.Changesets(h.store.ReadStream(x.context(), x.streamID(), read)) {
		if err != nil {
			return err
		}
		if int64(changeset.Number) > bounds.to {
			return nil
		}
		if err := p.changeset(&changeset); err != nil {
			return err
		}
	}
	return nil
}

// versionOf returns the version at which the first changeset begins whose
// number is at least the given one. It halves the distance, so that a long
// stream is not read from its start.
func (h *Handler) versionOf(ctx context.Context, id daybook.StreamID, number daybook.ChangesetNumber, head daybook.Head) (daybook.Version, error) {
	low, high := max(head.First, 1), head.Version
	for low < high && number > 1 {
		middle := low + (high-low)/2
		record, err := first(h.store.ReadStream(ctx, id, daybook.StreamRead{From: middle, Limit: 1}))
		switch {
		case err != nil || record == nil:
			return low, err
		case record.Changeset.Number >= number:
			high = max(low, min(middle, record.Changeset.First))
		default:
			low = record.Changeset.Last() + 1
		}
	}
	return low, nil
}

// eventRange writes the events of a stream whose numbers lie within bounds.
func (h *Handler) eventRange(x *exchange, p *pretty, bounds numberRange, head daybook.Head) error {
	if bounds.to < 1 || bounds.from > int64(head.Version) {
		return nil
	}
	read := daybook.StreamRead{From: daybook.Version(bounds.from), To: min(daybook.Version(bounds.to), head.Version)}
	for record, err := range h.store.ReadStream(x.context(), x.streamID(), read) {
		if err != nil {
			return err
		}
		p.line()
		p.open('{')
		p.number("id", int64(record.Version))
		p.key("data")
		p.data(record.ContentType, record.Data, "null")
		p.close('}')
		if err := x.room(); err != nil {
			return err
		}
	}
	return nil
}

// allChangesets lists the changesets of the whole log from a checkpoint on.
func (h *Handler) allChangesets(x *exchange) error {
	checkpoint, ok := integer(cmp.Or(x.query.Get("checkpoint"), "0"))
	if !ok || checkpoint < 0 {
		return refuse(codeCheckpoint, `the checkpoint "%s" is not valid: it must be a whole number, 0 or more`, wire.Shorten(x.query.Get("checkpoint")))
	}
	limit, ok := integer(cmp.Or(x.query.Get("limit"), "10"))
	if !ok || limit < 1 {
		return refuse(codeLimit, `the limit "%s" is not valid: it must be a whole number, 1 or more`, wire.Shorten(x.query.Get("limit")))
	}
	after, err := h.placeOf(x.context(), checkpoint)
	if err != nil {
		return err
	}
	read := daybook.LogRead{After: after}
	if partition, given := x.query["partition"]; given {
		read.Filter.Partitions = partition[:1]
	}
	p := &pretty{x: x}
	p.open('{')
	p.number("checkpoint", checkpoint)
	p.number("limit", limit)
	p.key("changesets")
	p.open('[')
	next := checkpoint
	for changeset, err := range daybook.Changesets(h.store.ReadLog(x.context(), read)) {
		if err != nil {
			return err
		}
		at := checkpointOf(&changeset)
		if at < checkpoint || next == checkpoint && cut(&changeset) && after > 0 {
			continue
		}
		if err := p.globalChangeset(&changeset, at); err != nil {
			return err
		}
		next = at + 1
		limit--
		if limit == 0 {
			break
		}
	}
	p.close(']')
	p.number("next_checkpoint", next)
	p.close('}')
	return nil
}

func (p *pretty) globalChangeset(c *daybook.RecordedChangeset, checkpoint int64) error {
	p.line()
	p.open('{')
	p.stream(c.Stream)
	p.number("changeset_id", int64(c.Number))
	p.events(c.Records)
	p.metadata(c.Metadata)
	p.number("checkpoint", checkpoint)
	p.close('}')
	return p.x.room()
}

// checkpointOf returns the checkpoint of a changeset: one less than its
// ordinal, or than its first position where the storage counts no ordinals.
func checkpointOf(c *daybook.RecordedChangeset) int64 {
	if c.Ordinal > 0 {
		return int64(c.Ordinal) - 1
	}
	return int64(c.Records[0].Position) - 1
}

// cut reports whether a changeset lacks its beginning, as the first one of a
// read has it where checkpoints are positions and the read began within it.
func cut(c *daybook.RecordedChangeset) bool {
	return c.Ordinal == 0 && c.Records[0].Version > c.First
}

// placeOf returns the position after which the changesets from a checkpoint on
// begin. Ordinals rise with positions, so it halves the distance.
func (h *Handler) placeOf(ctx context.Context, checkpoint int64) (daybook.Position, error) {
	if checkpoint == 0 {
		return 0, nil
	}
	last, err := first(h.store.ReadLog(ctx, daybook.LogRead{Backwards: true, Limit: 1}))
	if err != nil || last == nil {
		return 0, err
	}
	if last.Changeset.Ordinal == 0 {
		return daybook.Position(checkpoint), nil
	}
	if checkpoint >= int64(last.Changeset.Ordinal) {
		return last.Position, nil
	}
	low, high := daybook.Position(0), last.Position
	for low < high {
		middle := low + (high-low)/2
		record, err := first(h.store.ReadLog(ctx, daybook.LogRead{After: middle, Limit: 1}))
		switch {
		case err != nil:
			return 0, err
		case record == nil || int64(record.Changeset.Ordinal) > checkpoint:
			high = middle
		default:
			low = record.Position
		}
	}
	return low, nil
}

// first returns the first value of a sequence, nil if it has none.
func first[T any](sequence iter.Seq2[T, error]) (*T, error) {
	for value, err := range sequence {
		return &value, err
	}
	return nil, nil
}
