package httpapi

import (
	"iter"
	"strconv"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// defaultPage is how many records or heads a JSON page holds where the request
// does not say.
const defaultPage = 1000

// streamRecords answers with the records of a stream.
func (h *Handler) streamRecords(x *exchange) error {
	read, err := wire.ParseStreamRead(x.query)
	if err != nil {
		return err
	}
	format, err := x.recordFormat()
	if err != nil {
		return err
	}
	if format == formatSSE {
		return h.liveStream(x, read)
	}
	if _, err := h.existing(x); err != nil {
		return err
	}
	if format == formatNDJSON {
		return ndjson(x, h.store.ReadStream(x.context(), x.streamID(), read), wire.AppendRecord)
	}
	read.Limit = h.page(read.Limit)
	last, err := page(x, "records", h.store.ReadStream(x.context(), x.streamID(), read), wire.AppendRecord)
	switch {
	case err != nil:
		return err
	case last == nil && !read.Backwards:
		x.next("next_from", int64(max(read.From, 1)))
	case last != nil && !read.Backwards:
		x.next("next_from", int64(last.Version)+1)
	case last != nil && last.Version > max(read.From, 1):
		x.next("next_to", int64(last.Version)-1)
	}
	x.out = append(x.out, "}\n"...)
	return nil
}

// logRecords answers with the records of the log.
func (h *Handler) logRecords(x *exchange) error {
	read, err := wire.ParseLogRead(x.query)
	if err != nil {
		return err
	}
	format, err := x.recordFormat()
	switch {
	case err != nil:
		return err
	case format == formatSSE:
		return h.liveLog(x, read)
	case format == formatNDJSON:
		return ndjson(x, h.store.ReadLog(x.context(), read), wire.AppendRecord)
	}
	read.Limit = h.page(read.Limit)
	last, err := page(x, "records", h.store.ReadLog(x.context(), read), wire.AppendRecord)
	switch {
	case err != nil:
		return err
	case last == nil && !read.Backwards:
		x.next("next_after", int64(read.After))
	case last != nil && !read.Backwards:
		x.next("next_after", int64(last.Position))
	case last != nil && last.Position > read.After+1:
		x.next("next_to", int64(last.Position)-1)
	}
	x.out = append(x.out, "}\n"...)
	return nil
}

// heads answers with the heads of streams.
func (h *Handler) heads(x *exchange) error {
	list, err := wire.ParseStreamList(x.query)
	if err != nil {
		return err
	}
	format, err := x.format(formatJSON, formatNDJSON)
	if err != nil {
		return err
	}
	if format == formatNDJSON {
		return ndjson(x, h.store.ListStreams(x.context(), list), wire.AppendHead)
	}
	list.Limit = h.page(list.Limit)
	last, err := page(x, "heads", h.store.ListStreams(x.context(), list), wire.AppendHead)
	if err != nil {
		return err
	}
	if last != nil {
		list.After = last.Stream
	}
	x.out = append(x.out, `,"next_after":`...)
	x.out = wire.AppendString(x.out, list.After.Name)
	if list.After.Partition != "" {
		x.out = append(x.out, `,"next_after_partition":`...)
		x.out = wire.AppendString(x.out, list.After.Partition)
	}
	x.out = append(x.out, "}\n"...)
	return nil
}

// page returns how many values a JSON page holds.
func (h *Handler) page(limit int) int {
	if limit == 0 {
		limit = defaultPage
	}
	return min(limit, h.options.MaxPage)
}

// next writes where the next page begins.
func (x *exchange) next(name string, place int64) {
	x.out = append(x.out, `,"`+name+`":`...)
	x.out = strconv.AppendInt(x.out, place, 10)
}

// page writes values as a list in an object, which it leaves open, until the
// page is as large as it may grow. It returns the last one, nil if there was
// none.
func page[T any](x *exchange, name string, values iter.Seq2[T, error], appendValue func([]byte, *T) []byte) (*T, error) {
	var last *T
	x.out = append(x.out, `{"`+name+`":[`...)
	for value, err := range values {
		if err != nil {
			return nil, err
		}
		if last != nil {
			x.out = append(x.out, ',')
		}
		x.out = appendValue(x.out, &value)
		if err := x.room(); err != nil {
			return nil, err
		}
		last = &value
		if x.sent+int64(len(x.out)) >= x.handler.options.MaxPageBytes {
			break
		}
	}
	x.out = append(x.out, ']')
	return last, nil
}

// ndjson writes values one a line, and an empty line when the next one is far
// away. An error behind the first one is the last line, an object with "error",
// so that what came before it is not lost.
func ndjson[T any](x *exchange, values iter.Seq2[T, error], appendValue func([]byte, *T) []byte) error {
	x.writer.Header().Set("Content-Type", formatNDJSON)
	beat := func() error {
		x.out = append(x.out, '\n')
		return x.flush()
	}
	for value, err := range pulsed(x, values, beat) {
		if err != nil {
			if !x.committed && len(x.out) == 0 || x.context().Err() != nil {
				return err
			}
			x.logInternal(err)
			x.out = append(appendProblem(x.out, err, daybook.StreamID{}), '\n')
			return nil
		}
		x.out = append(appendValue(x.out, &value), '\n')
		if err := x.room(); err != nil {
			return err
		}
	}
	return nil
}
