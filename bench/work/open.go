package work

import (
	"context"
	"fmt"
	"time"

	"github.com/daybook-go/daybook/bench/measure"
)

// openStore opens what was loaded, reads the last stream of it, and then tells
// how long that took and what stays in memory. The bare scan reads the whole
// log once, warm: what opening costs whoever has no more than the log.
func openStore(ctx context.Context, t Task) (Result, error) {
	set, err := newDataset(t)
	if err != nil {
		return Result{}, err
	}
	if t.Contender == BareScan {
		t.Duration = 0
		return scan(ctx, t)
	}
	before, err := measure.Resident()
	if err != nil {
		return Result{}, err
	}
	place := set.place(true)
	place.Unsynced = false
	processor, start := measure.Processor(), time.Now()
	p, err := open(ctx, t, place)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	records := int64(0)
	err = p.ReadStream(ctx, set.stream(set.streams-1), func(int64, []byte) error {
		records++
		return nil
	})
	if want := set.records / set.streams; err == nil && records != want {
		err = fmt.Errorf("a stream of %d records was read, want %d", records, want)
	}
	if err != nil {
		return Result{}, err
	}
	result := Result{Events: set.records, Elapsed: time.Since(start), Processor: measure.Processor() - processor, Version: versionOf(ctx, p)}
	after, err := measure.Resident()
	result.Resident = max(after-before, 0)
	return result, err
}
