package cosmos

import (
	"context"
	"iter"
	"slices"

	"github.com/daybook-go/daybook"
)

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		left := list.Limit
		err := d.eachPartition(ctx, list.After.Partition, func(partition string) (bool, error) {
			if f := list.Filter.Partitions; len(f) > 0 && !slices.Contains(f, partition) {
				return true, nil
			}
			after := ""
			if partition == list.After.Partition {
				after = list.After.Name
			}
			for {
				heads, last, err := d.listPage(ctx, partition, after)
				if err != nil {
					return false, err
				}
				for _, head := range heads {
					if !list.Filter.MatchesStream(head.Stream) {
						continue
					}
					if err := ctx.Err(); err != nil {
						return false, err
					}
					if left--; !yield(head, nil) || left == 0 {
						return false, nil
					}
				}
				if last == "" {
					return true, nil
				}
				after = last
			}
		})
		if err != nil {
			yield(daybook.StreamHead{}, err)
		}
	}
}

// eachPartition calls look for every partition that has streams, from one on,
// in the order of their bytes.
func (d *Driver) eachPartition(ctx context.Context, from string, look func(partition string) (more bool, err error)) error {
	if err := d.begin(); err != nil {
		return err
	}
	d.calls.Done()
	if from == "" {
		if more, err := look(""); err != nil || !more {
			return err
		}
	}
	for key := sortKey(from); ; {
		var names []string
		q := question{
			page: largestPage, values: map[string]any{"@from": key},
			text: "SELECT TOP 1000 * FROM c WHERE c.Daybook.Item = 'partition' AND c.Daybook.Sort >= @from ORDER BY c.Daybook.Sort",
		}
		err := d.query(ctx, q, func(raw []byte) (bool, error) {
			placed, err := bodyOf[placedBody](raw)
			if err == nil {
				names = append(names, placed.Of)
			}
			return true, err
		})
		if err != nil {
			return err
		}
		for _, name := range names {
			if more, err := look(name); err != nil || !more {
				return err
			}
		}
		if len(names) < largestPage {
			return nil
		}
		key = sortKey(names[len(names)-1]) + "00" // behind it: a name never holds a zero byte
	}
}

// listPage returns streams of a partition behind a name, and the last of the
// names if there may be more.
func (d *Driver) listPage(ctx context.Context, partition, after string) (heads []daybook.StreamHead, last string, err error) {
	if err := d.begin(); err != nil {
		return nil, "", err
	}
	defer d.calls.Done()
	if err := d.touch(ctx, partition); err != nil {
		return nil, "", err
	}
	q := question{
		partition: partition, page: largestPage, values: map[string]any{"@after": sortKey(after)},
		text: "SELECT TOP 1000 * FROM c WHERE c.Daybook.Item = 'stream' AND c.Daybook.Sort > @after ORDER BY c.Daybook.Sort",
	}
	var streams []*streamBody
	var commits []int64
	err = d.query(ctx, q, func(raw []byte) (bool, error) {
		s, err := bodyOf[streamBody](raw)
		if err == nil {
			streams, commits = append(streams, s), append(commits, s.Commit)
		}
		return true, err
	})
	if err != nil {
		return nil, "", err
	}
	if partition != "" {
		// All at once, and into the cache from which they are taken below.
		if _, err := d.entriesOf(ctx, partition, commits); err != nil {
			return nil, "", err
		}
	}
	for _, s := range streams {
		head, err := d.placedHead(ctx, partition, s)
		if err != nil {
			return nil, "", err
		}
		heads = append(heads, daybook.StreamHead{Stream: daybook.StreamID{Partition: partition, Name: s.Name}, Head: head})
	}
	if len(streams) == largestPage {
		last = streams[len(streams)-1].Name
	}
	return heads, last, nil
}
