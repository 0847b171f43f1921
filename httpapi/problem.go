package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// problem is an error of the request itself, or one that the Elastic Event
// Store has a code for. Everything else is in the table of internal/wire.
type problem struct {
	status  int
	code    string // none: the reply has a message only
	message string
	stream  bool // the reply tells the stream
}

func (p *problem) Error() string { return p.message }

// fail answers err. Where a part of the reply has left already, the connection
// is cut, so that the client cannot take the part for the whole.
func (x *exchange) fail(err error) {
	x.logInternal(err)
	if errors.Is(err, daybook.ErrFailed) {
		x.handler.failed.Store(true)
	}
	if x.committed {
		panic(http.ErrAbortHandler)
	}
	x.reply(err)
}

// logInternal tells operators of an error that is not the client's.
func (x *exchange) logInternal(err error) {
	gone := x.context().Err() != nil || x.broken != nil
	if status := x.statusOf(err); status >= http.StatusInternalServerError && status != http.StatusNotImplemented && !gone {
		x.handler.options.Logger.Error("internal error", "request", x.id, "method", x.request.Method, "path", x.request.URL.Path, "error", err)
	}
}

// reply answers err with its status and body.
func (x *exchange) reply(err error) {
	x.status = x.statusOf(err)
	x.writer.Header().Set("Content-Type", "application/json")
	x.out = x.errorBody(x.out[:0], err)
	if x.overfull {
		x.linger()
		return
	}
	_ = x.end() // who cannot be reached learns nothing
}

// statusOf returns the status that answers err.
func (x *exchange) statusOf(err error) int {
	var p *problem
	if errors.As(err, &p) {
		return p.status
	}
	status, _ := wire.Status(err)
	return status
}

// errorBody appends the body that answers err, in the style of the path.
func (x *exchange) errorBody(out []byte, err error) []byte {
	var stream daybook.StreamID
	if x.stream != "" {
		stream = x.streamID()
	}
	compact := appendProblem(nil, err, stream)
	if !x.ees {
		return append(append(out, compact...), '\n')
	}
	pretty := bytes.NewBuffer(out)
	if json.Indent(pretty, compact, "", indent) != nil {
		return append(out, compact...)
	}
	return pretty.Bytes()
}

// appendProblem appends the compact body that answers err.
func appendProblem(out []byte, err error, stream daybook.StreamID) []byte {
	var p *problem
	if !errors.As(err, &p) {
		return wire.AppendStreamError(out, stream, err)
	}
	out = append(out, '{')
	if p.code != "" {
		out = append(out, `"error":`...)
		out = append(wire.AppendString(out, p.code), ',')
	}
	out = append(out, `"message":`...)
	out = wire.AppendString(out, strings.ToValidUTF8(p.message, "\uFFFD"))
	if p.stream && stream.Name != "" {
		out = append(out, `,"stream_id":`...)
		out = wire.AppendString(out, strings.ToValidUTF8(stream.Name, "\uFFFD"))
		if stream.Partition != "" {
			out = append(out, `,"partition":`...)
			out = wire.AppendString(out, strings.ToValidUTF8(stream.Partition, "\uFFFD"))
		}
	}
	return append(out, '}')
}
