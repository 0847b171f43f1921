package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// Adopt takes into the log what EES's code has written into streams since the
// log began, and whatever EES's indexer has counted meanwhile. It returns how
// many changesets that were. What is in the log already stays as it is, so it
// may be called again, late, and by many at once.
//
// Append does the same by itself where it meets such changesets; readers see
// them only afterwards. Where EES's code goes on writing, run Index.
func (d *Driver) Adopt(ctx context.Context, streams ...daybook.StreamID) (changesets int, err error) {
	for try := 0; ; {
		some, err := d.strangers(ctx, streams)
		if err != nil || len(some) == 0 {
			return changesets, err
		}
		taken, err := d.takeIn(ctx, some)
		switch {
		case err == nil:
			changesets, try = changesets+taken, 0
		case try < tries && (isOfEES(err) || errors.Is(err, daybook.ErrInvalid)):
			try++ // somebody has appended, or taken them in, meanwhile
		default:
			return changesets, err
		}
	}
}

// adoptAndRetry decides about an append that ended with an error: true says that
// it is to be sent again, since what was in its way is in the log now.
func (d *Driver) adoptAndRetry(ctx context.Context, err error, try int, streams []daybook.StreamID) (bool, error) {
	if !isOfEES(err) || try == tries {
		return false, err
	}
	taken, adopting := d.Adopt(ctx, streams...)
	if adopting != nil {
		return false, &ForeignError{Reason: "EES has written meanwhile, and that could not be taken in: " + adopting.Error()}
	}
	d.table.options.Logger.Info("taken in what EES has written meanwhile", "changesets", taken)
	return true, nil
}

// adoptedAtOnce is how many changesets one page takes in: each has two rows.
const adoptedAtOnce = pageRows / 2

// strangers returns changesets that EES has written into streams, and into those
// that its indexer has counted; as many as one page takes, in their order.
func (d *Driver) strangers(ctx context.Context, streams []daybook.StreamID) ([]foreign, error) {
	counted, err := d.countedStreams(ctx)
	if err != nil {
		return nil, err
	}
	var all []foreign
	seen := map[daybook.StreamID]bool{}
	for _, id := range slices.Concat(counted, streams) {
		if seen[id] || id.Partition != "" {
			continue // EES has no partitions
		}
		seen[id] = true
		head, err := d.Head(ctx, id)
		if err != nil {
			return nil, err
		}
		for r, err := range d.table.rows(ctx, query{partition: text(streamKey(id)), from: int64(head.Changeset) + 1}) {
			if err != nil {
				return nil, err
			}
			if f, is := foreignOf(r); is {
				all = append(all, f)
			}
		}
	}
	if err := d.table.repaired(ctx, all); err != nil {
		return nil, err
	}
	inOrder(all)
	return all[:min(len(all), adoptedAtOnce)], nil
}

// countedStreams returns the streams of the changesets that EES's indexer has
// counted since the last page of ours.
func (d *Driver) countedStreams(ctx context.Context) ([]daybook.StreamID, error) {
	t := d.table
	counter, err := t.get(ctx, keyOf(counterKey, 0), "")
	if err != nil || counter == nil || counter.number(attrPageItem) < 0 || !counter.has(attrOurPage) {
		return nil, err
	}
	at := checkpoint{counter.number(attrPage), counter.number(attrPageItem)}
	ours := checkpoint{counter.number(attrOurPage), counter.number(attrOurItem)}
	var streams []daybook.StreamID
	for page := ours.page; page <= at.page; page++ {
		q := query{index: indexOrder, partition: number(page), by: [2]string{attrPage, attrPageItem}, from: 0, eventual: true}
		if page == ours.page {
			q.from = ours.item + 1
		}
		for r, err := range t.rows(ctx, q) {
			if err != nil {
				return nil, err
			}
			if f, is := foreignOf(r); is {
				id, _ := streamOf(f.key)
				streams = append(streams, id)
			}
		}
	}
	// The index may not have the last one yet; its name stands in the counter.
	if id, is := streamOf(counter.text(attrPreviousStream)); is && at != ours {
		streams = append(streams, id)
	}
	return streams, nil
}

// takeIn puts changesets behind the end of the log, as many as one page takes,
// and returns how many.
func (d *Driver) takeIn(ctx context.Context, some []foreign) (int, error) {
	rows, err := d.table.contents(ctx, some)
	if err != nil {
		return 0, err
	}
	var end daybook.Position
	var latest time.Time
	for r, err := range d.ReadLog(ctx, daybook.LogRead{Backwards: true, Limit: 1}) {
		if err != nil {
			return 0, err
		}
		end, latest = r.Position, r.RecordedAt
	}
	var adopted []daybook.RecordedChangeset
	size := 0
	for _, f := range some {
		if size += rows[f].size(); size > pageBytes/2 && len(adopted) > 0 {
			break
		}
		c, has, err := changesetOf(f, rows[f])
		if err != nil {
			return 0, err
		}
		if !has {
			return 0, fmt.Errorf("dynamodb: changeset %d of stream %q, written by EES, has no events: delete the item, then append again", f.number, f.key)
		}
		if c.RecordedAt.Before(latest) {
			c.RecordedAt = latest
		}
		latest = c.RecordedAt
		for i := range c.Records {
			end++
			c.Records[i].Position = end
		}
		d.table.remember(c.AppendID)
		adopted = append(adopted, c)
	}
	return len(adopted), d.Engine.Import(ctx, adopted)
}
