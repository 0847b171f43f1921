package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// head tells where a stream ends. Of one whose records were deleted the error
// tells where it ended.
func (h *Handler) head(x *exchange) error {
	head, err := h.store.Head(x.context(), x.streamID())
	if err != nil {
		return err
	}
	if !head.Exists() {
		return &wire.StreamNotFoundError{Stream: x.streamID(), Head: head}
	}
	x.out = append(wire.AppendHead(x.out, &daybook.StreamHead{Stream: x.streamID(), Head: head}), '\n')
	return nil
}

func (h *Handler) stats(x *exchange) error {
	stats, err := h.store.Stats(x.context())
	if err != nil {
		return err
	}
	return x.json(wire.Stats(stats))
}

// claim tells which stream of a partition holds a claim.
func (h *Handler) claim(x *exchange) error {
	claim := daybook.Claim{Kind: x.query.Get("kind"), Value: x.query.Get("value")}
	holder, held, err := h.store.ClaimHolder(x.context(), x.query.Get("partition"), claim)
	if err != nil {
		return err
	}
	x.out = wire.AppendHolder(x.out, holder, held)
	x.out = append(x.out, '\n')
	return nil
}

// longestWait is the longest that a client may have /position wait.
const longestWait = 60 * time.Second

// position tells where the log ends: at once, or when it ends beyond the
// parameter after, for as long as the parameter wait says.
func (h *Handler) position(x *exchange) error {
	after, wait, err := wire.ParseWait(x.query)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(x.context(), min(wait, longestWait, h.options.MaxWait))
	defer cancel()
	defer context.AfterFunc(draining(x.context()), cancel)()
	for {
		end, err := h.store.End(x.context())
		if err != nil {
			return err
		}
		if end > after || ctx.Err() != nil {
			x.out = append(x.out, `{"position":`...)
			x.out = strconv.AppendInt(x.out, int64(end), 10)
			x.out = append(x.out, "}\n"...)
			return nil
		}
		if err := h.store.Wait(ctx, after); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// healthCheck is how long the store may take to say that it is well.
const healthCheck = 5 * time.Second

// healthz tells whether the store answers, and still takes appends as far as
// they have shown.
func (h *Handler) healthz(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.context(), healthCheck)
	defer cancel()
	position, err := h.store.End(ctx)
	if err == nil && h.failed.Load() {
		err = daybook.ErrFailed
	}
	if err == nil && draining(x.context()).Err() != nil {
		err = &problem{code: "CLOSING", message: "the server is shutting down"}
	}
	if err != nil {
		x.handler.options.Logger.Error("unhealthy", "request", x.id, "error", err)
		x.status = http.StatusServiceUnavailable
		x.out = append(appendProblem(x.out, err, daybook.StreamID{}), '\n')
		return nil
	}
	return x.json(struct {
		Status   string           `json:"status"`
		Storage  string           `json:"storage"`
		Version  string           `json:"version"`
		Position daybook.Position `json:"position"`
	}{"ok", h.store.Name(), h.options.Version, position})
}

// json puts a value into the reply.
func (x *exchange) json(value any) error {
	out, err := json.Marshal(value)
	x.out = append(append(x.out, out...), '\n')
	return err
}
