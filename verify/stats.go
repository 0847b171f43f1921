package verify

import (
	"context"

	"github.com/daybook-go/daybook"
)

// stats compares the statistics with the log. They can only be compared while
// nothing is added, so a store in use is given several chances.
func (w *walk) stats(ctx context.Context) error {
	const chances = 10
	for range chances {
		if err := w.forwards(ctx); err != nil {
			return err
		}
		stats, err := w.store.Stats(ctx)
		if w.unsupported(err) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := w.store.End(ctx)
		if err != nil {
			return err
		}
		if end == w.last {
			w.compareStats(stats)
			return nil
		}
	}
	w.skip("statistics: the store kept growing while they were compared")
	return nil
}

func (w *walk) compareStats(stats daybook.Stats) {
	if stats.LastOrdinal > w.ordinal && w.explains(stats.LastOrdinal-w.ordinal) { // the last ones were deleted
		w.ordinal = stats.LastOrdinal
	}
	for _, count := range []struct {
		name       string
		said, read int64
	}{
		{"streams", stats.Streams, int64(len(w.streams))},
		{"changesets", stats.Changesets, w.report.Changesets},
		{"records", stats.Records, w.report.Records},
		{"the number of the longest stream's last changeset", int64(stats.LongestStream), int64(w.longest)},
		{"the last position", int64(stats.LastPosition), int64(w.last)},
		{"the last ordinal", int64(stats.LastOrdinal), int64(w.ordinal)},
	} {
		if count.said != count.read {
			w.found(StatsDiffer, daybook.StreamID{}, 0, "statistics: %s: said to be %d, %d in the log", count.name, count.said, count.read)
		}
	}
}
