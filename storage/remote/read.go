package remote

import (
	"context"
	"iter"
	"net/url"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	left := remaining(read.Limit)
	l := &lines[daybook.Record]{
		driver: d, path: streamPath(id, "/records"), decode: wire.DecodeReplyRecord,
		params: func() (url.Values, bool) {
			read.Limit = left.limit()
			return wire.StreamParams(id, read), !left.done
		},
		seen: func(r daybook.Record) {
			left.take()
			if !read.Backwards {
				read.From = r.Version + 1
				left.done = left.done || read.To > 0 && read.From > read.To
				return
			}
			read.To = r.Version - 1
			left.done = left.done || read.To == 0 || read.To < read.From
		},
	}
	return l.values(ctx)
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	left := remaining(read.Limit)
	l := &lines[daybook.Record]{
		driver: d, path: "/records", decode: wire.DecodeReplyRecord,
		params: func() (url.Values, bool) {
			read.Limit = left.limit()
			return wire.LogParams(read), !left.done
		},
		seen: func(r daybook.Record) {
			left.take()
			if !read.Backwards {
				read.After = r.Position
				left.done = left.done || read.To > 0 && read.After >= read.To
				return
			}
			read.To = r.Position - 1
			left.done = left.done || read.To <= read.After
		},
	}
	return l.values(ctx)
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	left := remaining(list.Limit)
	l := &lines[daybook.StreamHead]{
		driver: d, path: "/heads", decode: wire.DecodeHead,
		params: func() (url.Values, bool) {
			list.Limit = left.limit()
			return wire.ListParams(list), !left.done
		},
		seen: func(h daybook.StreamHead) {
			left.take()
			list.After = h.Stream
		},
	}
	return l.values(ctx)
}

// left counts the values that a read still wants.
type left struct {
	bounded bool
	n       int
	done    bool
}

func remaining(limit int) *left { return &left{bounded: limit > 0, n: limit} }

func (l *left) limit() int { return l.n }

func (l *left) take() {
	if l.bounded {
		l.n--
		l.done = l.done || l.n == 0
	}
}
