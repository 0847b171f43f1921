// Package measure takes the figures of a benchmark: how long each call took,
// how much processor time and memory a process used.
package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies counts how long calls took, from a microsecond to a minute, to
// one part in a hundred. It is for one goroutine; Merge joins several.
type Latencies struct{ histogram *hdrhistogram.Histogram }

// NewLatencies returns an empty count.
func NewLatencies() *Latencies {
	return &Latencies{hdrhistogram.New(100, int64(time.Minute), 2)}
}

// Add counts a call; one of more than a minute counts as a minute.
func (l *Latencies) Add(took time.Duration) {
	_ = l.histogram.RecordValue(min(int64(took), int64(time.Minute)))
}

// Merge adds what other has counted.
func (l *Latencies) Merge(other *Latencies) { l.histogram.Merge(other.histogram) }

// Count returns how many calls were counted.
func (l *Latencies) Count() int64 { return l.histogram.TotalCount() }

// Quantile returns the time within which the given part of the calls ended:
// 0.99 for p99.
func (l *Latencies) Quantile(part float64) time.Duration {
	return time.Duration(l.histogram.ValueAtQuantile(part * 100))
}
