// Package channel carries what a store records out to others: brokers, queues,
// webhooks. A [Channel] is one way out, each kind in a package below this one;
// [Relay] reads the log and hands it on, and keeps its place as a checkpoint.
package channel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// Channel is a way out.
type Channel interface {
	// Publish hands on changesets, those of a stream in their order. When it
	// returns nil each has been taken by the other side, or put where what
	// cannot be taken is kept. After an error some may have been taken: the same
	// are published again, by the caller or by the one after it, so that all
	// arrive at least once. It keeps nothing of its argument.
	Publish(ctx context.Context, changesets []daybook.RecordedChangeset) error
}

// Checkpoints keep places in the log by name, for longer than the process. They
// may be used by many goroutines and processes at once.
type Checkpoints interface {
	// Load returns the place; 0 if none was saved.
	Load(ctx context.Context, name string) (daybook.Position, error)
	// Save moves the place from one position to a later one. If it is not at
	// from, it is left where it is and the error matches ErrMoved. After any
	// other error it was moved or not.
	Save(ctx context.Context, name string, from, to daybook.Position) error
}

// ErrMoved is matched when somebody else has moved a checkpoint. Load it, and
// go on from there.
var ErrMoved = errors.New("the checkpoint was moved by somebody else")

// Options of Relay. Nil and zero fields mean the defaults.
type Options struct {
	// Records and Bytes bound what is published between two checkpoints; whole
	// changesets are never cut. Defaults 500 and 4 MiB, of data.
	Records int
	Bytes   int64
	// Margin is how long before the deadline of the context Relay stops of
	// itself, between two checkpoints. Default 0.
	Margin time.Duration
	// Now is the clock that the deadline is compared with. Default time.Now.
	Now func() time.Time
}

// Relay publishes what the log holds behind the checkpoint of that name, up to
// where it ends when Relay is called, and moves the checkpoint behind what was
// published. It returns where the checkpoint stands at last, and whether that
// is the end: it is not when the deadline came too close.
//
// Any number of them may run at once with one name. What two of them publish
// comes twice, each time in order, so that whoever drops repeats sees each
// changeset once and in order.
//
// After an error the checkpoint stands behind what is known to be published.
func Relay(ctx context.Context, store *daybook.Store, to Channel, checkpoints Checkpoints, name string, options *Options) (reached daybook.Position, whole bool, err error) {
	r := relay{store: store, to: to, checkpoints: checkpoints, name: name}
	if options != nil {
		r.options = *options
	}
	r.options.Records = cmp.Or(max(r.options.Records, 0), 500)
	r.options.Bytes = cmp.Or(max(r.options.Bytes, 0), 4<<20)
	if r.options.Now == nil {
		r.options.Now = time.Now
	}
	if r.place, err = checkpoints.Load(ctx, name); err != nil {
		return 0, false, fmt.Errorf("loading the checkpoint %q: %w", name, err)
	}
	end, err := store.End(ctx)
	if err != nil {
		return r.place, false, err
	}
	for r.place < end {
		if r.late(ctx) {
			return r.place, false, nil
		}
		err := r.pieces(ctx, end)
		switch {
		case errors.Is(err, ErrMoved):
			if r.place, err = checkpoints.Load(ctx, name); err != nil {
				return r.place, false, fmt.Errorf("loading the checkpoint %q: %w", name, err)
			}
		case err != nil:
			return r.place, false, err
		}
	}
	return r.place, true, nil
}

type relay struct {
	store       *daybook.Store
	to          Channel
	checkpoints Checkpoints
	name        string
	options     Options
	place       daybook.Position
}

// late reports whether the deadline is so near that no other piece should be
// begun.
func (r *relay) late(ctx context.Context) bool {
	deadline, bound := ctx.Deadline()
	return bound && deadline.Sub(r.options.Now()) <= r.options.Margin
}

// pieces publishes what stands behind the place, up to end, piece by piece; it
// stops before one when time is short.
func (r *relay) pieces(ctx context.Context, end daybook.Position) error {
	var piece []daybook.RecordedChangeset
	records, bytes := 0, int64(0)
	read := daybook.LogRead{After: r.place, To: end}
	for changeset, err := range daybook.Changesets(r.store.ReadLog(ctx, read)) {
		if err != nil {
			return err
		}
		piece = append(piece, changeset)
		records += len(changeset.Records)
		for i := range changeset.Records {
			bytes += int64(len(changeset.Records[i].Data))
		}
		if records < r.options.Records && bytes < r.options.Bytes {
			continue
		}
		if err := r.publish(ctx, piece, last(&changeset)); err != nil || r.late(ctx) {
			return err
		}
		piece, records, bytes = piece[:0], 0, 0
	}
	return r.publish(ctx, piece, end)
}

// publish publishes a piece and moves the checkpoint to a place behind it.
func (r *relay) publish(ctx context.Context, piece []daybook.RecordedChangeset, to daybook.Position) error {
	if len(piece) > 0 {
		if err := r.to.Publish(ctx, piece); err != nil {
			return err
		}
	}
	if to == r.place {
		return nil
	}
	if err := r.checkpoints.Save(ctx, r.name, r.place, to); err != nil {
		return fmt.Errorf("saving the checkpoint %q: %w", r.name, err)
	}
	r.place = to
	return nil
}

// last returns the position of the last record of a changeset.
func last(c *daybook.RecordedChangeset) daybook.Position {
	return c.Records[len(c.Records)-1].Position
}
