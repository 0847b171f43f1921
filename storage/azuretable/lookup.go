package azuretable

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// AppendPage implements globalorder.Storage.
func (s *storage) AppendPage(ctx context.Context, id daybook.ID) (int64, error) {
	row, _, err := s.get(ctx, appendsPartition, id.String())
	if err != nil || row == nil {
		return 0, err
	}
	return row.readNumber("Page"), nil
}

// Head implements globalorder.Storage.
func (s *storage) Head(ctx context.Context, id daybook.StreamID) (globalorder.SettledHead, error) {
	row, err := s.stampedRow(ctx, streamsPartition, streamKey(id))
	if err != nil || row == nil {
		return globalorder.SettledHead{}, err
	}
	head := readHead(row)
	if head.Stream != id {
		return head, corrupt(row, "it is of another stream")
	}
	return head, nil
}

// Claim implements globalorder.Storage.
func (s *storage) Claim(ctx context.Context, key globalorder.ClaimKey) (globalorder.SettledClaim, error) {
	row, err := s.stampedRow(ctx, claimsPartition, claimKey(key))
	if err != nil || row == nil {
		return globalorder.SettledClaim{Key: key}, err
	}
	return globalorder.SettledClaim{
		Key: key, Holder: daybook.StreamID{Partition: row.readText("HolderPartition"), Name: row.readText("Holder")}, Stamp: row.readNumber("Page"),
	}, nil
}

// Streams implements globalorder.Storage.
func (s *storage) Streams(ctx context.Context, after daybook.StreamID, filter daybook.Filter) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		from, below := "", "~~" // no key begins so
		if len(filter.Partitions) == 1 {
			from = encode(filter.Partitions[0]) + separator
			below = encode(filter.Partitions[0]) + `!"` // the next that may stand where the separator does
		}
		if after != (daybook.StreamID{}) {
			from = max(from, kept(streamKey(after)))
		}
		var some []daybook.StreamHead // those that have the kept part of their keys in common
		last := ""
		pass := func() bool {
			slices.SortFunc(some, func(a, b daybook.StreamHead) int { return a.Stream.Compare(b.Stream) })
			for _, head := range some {
				if !yield(head, nil) {
					return false
				}
			}
			some = some[:0]
			return true
		}
		for row, err := range s.query(ctx, within(streamsPartition, from, below), nil) {
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			if key := kept(row.key()); key != last || len(key) < keptOfKey {
				if !pass() {
					return
				}
				last = key
			}
			some = append(some, readHead(row).StreamHead)
		}
		pass()
	}
}

// kept returns the part of a key that is kept of long ones.
func kept(key string) string { return key[:min(len(key), keptOfKey)] }

func microseconds(n int64) time.Time { return time.UnixMicro(n).UTC() }
