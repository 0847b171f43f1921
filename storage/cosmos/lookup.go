package cosmos

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/daybook-go/daybook"
)

// entryCache remembers entries of the log, which never change.
type entryCache struct {
	mu      sync.Mutex // guards entries
	entries map[entryKey]*entryBody
}

type entryKey struct {
	partition string
	place     int64
}

// put keeps an entry. A full cache is emptied.
func (c *entryCache) put(e *entryBody) {
	const most = 50_000
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= most {
		c.entries = map[entryKey]*entryBody{}
	}
	kept := *e
	c.entries[entryKey{e.Of, e.Place}] = &kept
}

func (c *entryCache) get(partition string, place int64) *entryBody {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[entryKey{partition, place}]
}

// entriesOf returns the entries of commits of a partition, by the place at which
// each begins. Commits that are not in the log are put there first.
func (d *Driver) entriesOf(ctx context.Context, partition string, commits []int64) (map[int64]*entryBody, error) {
	found := map[int64]*entryBody{}
	for try := 0; ; try++ {
		var ids []string
		asked := map[int64]bool{}
		for _, place := range commits {
			if found[place] != nil || asked[place] {
				continue
			}
			if e := d.entries.get(partition, place); e != nil {
				found[place] = e
				continue
			}
			asked[place] = true
			ids = append(ids, entryID(partition, place))
		}
		if len(ids) == 0 {
			return found, nil
		}
		err := d.readMany(ctx, "", ids, func(_ string, raw json.RawMessage) error {
			e, err := bodyOf[entryBody](raw)
			if err != nil {
				return err
			}
			delete(asked, e.Place)
			found[e.Place] = e
			d.entries.put(e)
			return nil
		})
		switch {
		case err != nil:
			return nil, err
		case len(asked) == 0:
			return found, nil
		case try > 0:
			return nil, fmt.Errorf("cosmos: partition %q: %d commits are not in the log", partition, len(asked))
		}
		// A program died between its two batches, or is between them now.
		if err := d.placeAll(ctx, partition); err != nil {
			return nil, err
		}
	}
}

// entryOf returns the entry of a commit of a partition.
func (d *Driver) entryOf(ctx context.Context, partition string, commit int64) (*entryBody, error) {
	found, err := d.entriesOf(ctx, partition, []int64{commit})
	return found[commit], err
}

// placedHead returns where a stream ends, with its place in the log.
func (d *Driver) placedHead(ctx context.Context, partition string, stream *streamBody) (daybook.Head, error) {
	head := stream.head()
	if partition == "" || stream == nil {
		return head, nil
	}
	entry, err := d.entryOf(ctx, partition, stream.Commit)
	if err != nil {
		return head, err
	}
	head.Position, head.RecordedAt = entry.position(stream.Place), entry.RecordedAt.UTC()
	return head, nil
}

// head returns where a stream ends.
func (d *Driver) head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if err := d.touch(ctx, id.Partition); err != nil {
		return daybook.Head{}, err
	}
	var stream item[streamBody]
	found, err := d.read(ctx, id.Partition, streamID(id.Name), &stream)
	if err != nil || !found {
		return daybook.Head{}, err
	}
	return d.placedHead(ctx, id.Partition, &stream.Daybook)
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if err := d.begin(); err != nil {
		return daybook.Head{}, err
	}
	defer d.calls.Done()
	return d.head(ctx, id)
}

// logEnd reads where the log ends now. What is read of the log afterwards goes
// at least as far.
func (d *Driver) logEnd(ctx context.Context) (logBody, error) {
	var head item[headBody]
	if _, err := d.readFresh(ctx, "", headID, &head); err != nil || head.Daybook.Log == nil {
		return logBody{}, err
	}
	return *head.Daybook.Log, nil
}

// End implements daybook.EndReader.
func (d *Driver) End(ctx context.Context) (daybook.Position, error) {
	if err := d.begin(); err != nil {
		return 0, err
	}
	defer d.calls.Done()
	log, err := d.logEnd(ctx)
	return log.Position, err
}

// Stats implements daybook.StatsReader.
func (d *Driver) Stats(ctx context.Context) (daybook.Stats, error) {
	if err := d.begin(); err != nil {
		return daybook.Stats{}, err
	}
	defer d.calls.Done()
	log, err := d.logEnd(ctx)
	return daybook.Stats{
		Streams: log.Streams, Changesets: int64(log.Ordinal), Records: int64(log.Position),
		LongestStream: daybook.ChangesetNumber(log.Longest), LastPosition: log.Position, LastOrdinal: log.Ordinal,
	}, err
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if err := d.begin(); err != nil {
		return daybook.StreamID{}, false, err
	}
	defer d.calls.Done()
	if err := d.touch(ctx, partition); err != nil {
		return daybook.StreamID{}, false, err
	}
	var held item[claimBody]
	found, err := d.read(ctx, partition, claimID(claim), &held)
	if err != nil || !found || held.Daybook.Holder == "" {
		return daybook.StreamID{}, false, err
	}
	return daybook.StreamID{Partition: partition, Name: held.Daybook.Holder}, true, nil
}
