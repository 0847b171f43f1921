package remote

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// Head implements daybook.HeadReader.
func (d *Driver) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	r := request{method: http.MethodGet, path: streamPath(id, ""), params: wire.StreamParams(id, daybook.StreamRead{}), accept: typeJSON}
	body, err := d.ask(ctx, r)
	if noStream := (*wire.StreamNotFoundError)(nil); errors.As(err, &noStream) {
		return noStream.Head, nil // zero unless it was deleted
	}
	if err != nil {
		return daybook.Head{}, err
	}
	head, err := wire.DecodeHead(body)
	if err != nil {
		return daybook.Head{}, d.stranger(err)
	}
	return head.Head, nil
}

// position is the reply of GET /position.
type position struct {
	Position daybook.Position `json:"position"`
}

// End implements daybook.EndReader.
func (d *Driver) End(ctx context.Context) (daybook.Position, error) {
	var end position
	err := d.get(ctx, "/position", nil, &end)
	return end.Position, err
}

// Wait implements daybook.Waiter: it asks the server, which answers when there
// is something, or when half of Options.Timeout has passed.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	wait := min(d.options.Timeout/2, 30*time.Second)
	params := wire.WaitParams(after, wait)
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()
	for {
		var end position
		if err := d.get(waiting, "/position", params, &end); err != nil {
			switch {
			case d.closing.Err() != nil:
				return daybook.ErrClosed
			case ctx.Err() != nil:
				return ctx.Err()
			}
			return err
		}
		if end.Position > after {
			return nil
		}
	}
}

// Stats implements daybook.StatsReader.
func (d *Driver) Stats(ctx context.Context) (daybook.Stats, error) {
	var stats wire.Stats
	err := d.get(ctx, "/stats", nil, &stats)
	return daybook.Stats(stats), err
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	params := url.Values{"partition": {partition}, "kind": {claim.Kind}, "value": {claim.Value}}
	body, err := d.ask(ctx, request{method: http.MethodGet, path: "/claims", params: params, accept: typeJSON})
	if err != nil {
		return daybook.StreamID{}, false, err
	}
	holder, held, err := wire.DecodeHolder(body)
	if err != nil {
		return daybook.StreamID{}, false, d.stranger(err)
	}
	return holder, held, nil
}
