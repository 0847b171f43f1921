package azuretable

import (
	"context"
	"slices"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// stamped is a row that gives way to a higher stamp only: the head of a stream,
// the holder of a claim.
type stamped struct {
	partition string
	key       string
	stamp     int64
	row       func() *entity
}

// tagCache remembers how rows with stamps were found or left, so that they can
// be replaced without being read.
type tagCache struct {
	mu    sync.Mutex // guards all below
	known map[rowKey]tagged
}

type rowKey struct{ partition, key string }

// tagged is a row as it was: absent where tag is empty.
type tagged struct {
	tag   azcore.ETag
	stamp int64
}

// maxTags is how many rows are remembered before all are forgotten.
const maxTags = 50_000

func (c *tagCache) put(key rowKey, t tagged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxTags {
		c.known = map[rowKey]tagged{}
	}
	c.known[key] = t
}

func (c *tagCache) get(key rowKey) (tagged, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, known := c.known[key]
	return t, known
}

func (c *tagCache) forget(key rowKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, key)
}

// stampedRow reads a row with a stamp, and remembers it; nil where it is not there.
func (s *storage) stampedRow(ctx context.Context, partition, key string) (*entity, error) {
	row, tag, err := s.get(ctx, partition, key)
	if err != nil {
		return nil, err
	}
	found := tagged{tag: tag}
	if row != nil {
		found.stamp = row.readNumber("Page")
	}
	s.tags.put(rowKey{partition, key}, found)
	return row, nil
}

// settleStamped returns the works that write the heads and claims.
func (s *storage) settleStamped(ctx context.Context, settled *globalorder.Settlement) (works []func() error) {
	var rows []stamped
	for _, h := range settled.Heads {
		rows = append(rows, stamped{streamsPartition, streamKey(h.Stream), h.Stamp, func() *entity { return headRow(&h) }})
	}
	for _, c := range settled.Claims {
		rows = append(rows, stamped{claimsPartition, claimKey(c.Key), c.Stamp, func() *entity { return claimRow(&c) }})
	}
	slices.SortStableFunc(rows, func(a, b stamped) int {
		if a.partition < b.partition {
			return -1
		} else if a.partition > b.partition {
			return 1
		}
		return 0
	})
	for from := 0; from < len(rows); {
		to := from
		for to < len(rows) && to-from < maxRows && rows[to].partition == rows[from].partition {
			to++
		}
		some := rows[from:to]
		works = append(works, func() error { return s.putStamped(ctx, some) })
		from = to
	}
	return works
}

// putStamped writes those of the rows, of one partition, that the table has with
// a lower stamp or not at all. Who finds that somebody else was faster looks
// again.
func (s *storage) putStamped(ctx context.Context, rows []stamped) error {
	for {
		if err := s.know(ctx, rows); err != nil {
			return err
		}
		var actions []aztables.TransactionAction
		var put []stamped
		size := 0
		for _, r := range rows {
			found, _ := s.tags.get(rowKey{r.partition, r.key})
			if found.stamp >= r.stamp {
				continue
			}
			action := aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: r.row().bytes()}
			if found.tag != "" {
				action.ActionType, action.IfMatch = aztables.TransactionTypeUpdateReplace, &found.tag
			}
			if size += len(action.Entity) + rowOverhead; size > maxBatchBytes && len(actions) > 0 {
				break // the rest in the next round
			}
			actions, put = append(actions, action), append(put, r)
		}
		if len(actions) == 0 {
			return nil
		}
		tags, err := s.submit(ctx, s.table, actions)
		for i, r := range put {
			if err == nil && tags[i] != "" {
				s.tags.put(rowKey{r.partition, r.key}, tagged{tags[i], r.stamp})
			} else {
				s.tags.forget(rowKey{r.partition, r.key})
			}
		}
		if err != nil && !isOvertaken(err) {
			return err
		}
	}
}

// know reads those of the rows that are not remembered.
func (s *storage) know(ctx context.Context, rows []stamped) error {
	var works []func() error
	for _, r := range rows {
		if _, known := s.tags.get(rowKey{r.partition, r.key}); known {
			continue
		}
		works = append(works, func() error {
			_, err := s.stampedRow(ctx, r.partition, r.key)
			return err
		})
	}
	return together(readAtOnce, works)
}

const readAtOnce = 16

func headRow(h *globalorder.SettledHead) *entity {
	row := newEntity(streamsPartition, streamKey(h.Stream))
	row.text("Partition", h.Stream.Partition)
	row.text("Name", h.Stream.Name)
	row.number("Version", int64(h.Version))
	row.number("Changeset", int64(h.Changeset))
	row.number("First", int64(h.First))
	row.number("Position", int64(h.Position))
	row.number("RecordedAt", h.RecordedAt.UnixMicro())
	row.number("Page", h.Stamp)
	return row
}

func readHead(row *entity) globalorder.SettledHead {
	return globalorder.SettledHead{
		StreamHead: daybook.StreamHead{
			Stream: daybook.StreamID{Partition: row.readText("Partition"), Name: row.readText("Name")},
			Head: daybook.Head{
				Version: daybook.Version(row.readNumber("Version")), Changeset: daybook.ChangesetNumber(row.readNumber("Changeset")),
				First: daybook.Version(row.readNumber("First")), Position: daybook.Position(row.readNumber("Position")),
				RecordedAt: microseconds(row.readNumber("RecordedAt")),
			},
		},
		Stamp: row.readNumber("Page"),
	}
}

func claimRow(c *globalorder.SettledClaim) *entity {
	row := newEntity(claimsPartition, claimKey(c.Key))
	row.text("Partition", c.Key.Partition)
	row.text("Kind", c.Key.Claim.Kind)
	row.text("Value", c.Key.Claim.Value)
	row.text("HolderPartition", c.Holder.Partition)
	row.text("Holder", c.Holder.Name)
	row.number("Page", c.Stamp)
	return row
}
