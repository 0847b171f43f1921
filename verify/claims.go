package verify

import (
	"context"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
)

// claims replays who held which claim.
type claims struct {
	// holders has every claim that was ever taken; the zero id where nobody
	// holds it now.
	holders map[claimKey]daybook.StreamID
	// open are the changesets with claims of the append that is being walked.
	open []claiming
}

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

type claiming struct {
	stream   daybook.StreamID
	position daybook.Position
	header   *daybook.ChangesetHeader
}

func (c *claims) add(r *daybook.Record) {
	if len(r.Changeset.Claims)+len(r.Changeset.Releases) > 0 {
		c.open = append(c.open, claiming{r.Stream, r.Position, r.Changeset})
	}
}

// settle carries out the open append: its releases, then its claims.
func (c *claims) settle(w *walk) {
	nobody := daybook.StreamID{}
	for _, o := range c.open {
		for _, claim := range o.header.Releases {
			key := claimKey{o.stream.Partition, claim}
			if holder := c.holders[key]; holder != nobody && holder != o.stream {
				w.found(ClaimTwice, o.stream, o.position, "releases claim %s %q, which stream %q held", claim.Kind, claim.Value, holder)
			}
			if _, known := c.holders[key]; known {
				c.holders[key] = nobody
			}
		}
	}
	for _, o := range c.open {
		for _, claim := range o.header.Claims {
			key := claimKey{o.stream.Partition, claim}
			if holder := c.holders[key]; holder != nobody && holder != o.stream {
				w.found(ClaimTwice, o.stream, o.position, "takes claim %s %q, which stream %q held", claim.Kind, claim.Value, holder)
			}
			c.holders[key] = o.stream
		}
	}
	c.open = c.open[:0]
}

// claimHolders asks the store for the holder of every claim that was ever
// taken. Where it differs, the log is walked on before that counts as wrong:
// an append may have changed it.
func (w *walk) claimHolders(ctx context.Context) error {
	keys := w.claims.sorted()
	for i, key := range keys {
		w.progress("claims", int64(i+1), int64(len(keys)))
		for {
			holder, _, err := w.store.ClaimHolder(ctx, key.partition, key.claim)
			if w.unsupported(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if holder == w.claims.holders[key] || w.tookDeleted(key, holder) {
				break
			}
			walked := w.last
			if err := w.forwards(ctx); err != nil {
				return err
			}
			if known := w.claims.holders[key]; holder == known {
				break
			} else if w.last == walked {
				w.found(ClaimTwice, known, 0, "claim %s %q is said to be held by stream %q, but stream %q holds it in the log",
					key.claim.Kind, key.claim.Value, holder, known)
				break
			}
		}
	}
	return nil
}

// tookDeleted reports whether a stream that has records may hold a claim that
// nobody holds in the log: it took it in a changeset that was deleted.
func (w *walk) tookDeleted(key claimKey, holder daybook.StreamID) bool {
	return w.claims.holders[key] == daybook.StreamID{} && w.streams[holder] != nil && w.deletions.gone[holder] > 0
}

func (c *claims) sorted() []claimKey {
	keys := make([]claimKey, 0, len(c.holders))
	for key := range c.holders {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b claimKey) int {
		text := func(k claimKey) string { return k.partition + "\x00" + k.claim.Kind + "\x00" + k.claim.Value }
		return strings.Compare(text(a), text(b))
	})
	return keys
}
