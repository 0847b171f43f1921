package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook"

	"github.com/daybook-go/daybook/bench/measure"
	"github.com/daybook-go/daybook/bench/peer"
)

// The bounds of reading.
const (
	// BareScan reads the files of Daybook, finds each frame and checks its
	// CRC32C.
	BareScan = "scan"
	// DecoderAlone decodes the same events from memory.
	DecoderAlone = "decoder"
)

// scan reads Daybook's files without Daybook.
func scan(ctx context.Context, t Task) (Result, error) {
	dir := filepath.Join(t.Dir, "daybook")
	return repeatReads(ctx, t, nil, func() (int64, error) {
		records, err := peer.ScanDaybook(dir)
		if err == nil && records != t.Records {
			err = fmt.Errorf("%d records were read, want %d", records, t.Records)
		}
		return records, err
	})
}

// replay reads everything in the order of the log.
func replay(ctx context.Context, t Task) (Result, error) {
	if t.Contender == BareScan {
		return scan(ctx, t)
	}
	p, log, set, err := openLog(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return repeatReads(ctx, t, p, func() (int64, error) {
		records, bytes := int64(0), 0
		err := log.ReadLog(ctx, func(data []byte) error {
			records++
			bytes += len(data)
			return nil
		})
		if err == nil && (records != set.records || bytes < t.Bytes*int(records)) {
			err = fmt.Errorf("%d records of %d bytes were read, want %d of %d each", records, bytes, set.records, t.Bytes)
		}
		return records, err
	})
}

// replayTyped reads everything and decodes it into a struct.
func replayTyped(ctx context.Context, t Task) (Result, error) {
	var event deposited
	if t.Contender == DecoderAlone {
		list, err := bodies(bodyCount, t.Bytes)
		if err != nil {
			return Result{}, err
		}
		return repeatReads(ctx, t, nil, func() (int64, error) {
			for n := range t.Records {
				if err := json.Unmarshal(list[n%bodyCount], &event); err != nil {
					return 0, err
				}
			}
			return t.Records, nil
		})
	}
	p, log, set, err := openLog(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	return repeatReads(ctx, t, p, func() (int64, error) {
		return set.records, log.ReadLog(ctx, func(data []byte) error { return json.Unmarshal(data, &event) })
	})
}

// replayStream reads streams drawn at random, each whole.
func replayStream(ctx context.Context, t Task) (Result, error) {
	p, set, err := openSet(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	random := rand.New(rand.NewPCG(1, 1))
	return repeatReads(ctx, t, p, func() (int64, error) {
		records := int64(0)
		err := p.ReadStream(ctx, set.stream(random.Int64N(set.streams)), func(version int64, _ []byte) error {
			records++
			if version != records {
				return fmt.Errorf("version %d stands where %d should", version, records)
			}
			return nil
		})
		if want := set.records / set.streams; err == nil && records != want {
			err = fmt.Errorf("a stream of %d records was read, want %d", records, want)
		}
		return records, err
	})
}

// replayTag reads what carries a tag, out of a log where one record in a
// hundred does.
func replayTag(ctx context.Context, t Task) (Result, error) {
	p, set, err := openSet(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	store, ok := p.(*peer.Daybook)
	if !ok {
		return Result{}, fmt.Errorf("%s keeps no tags: %w", t.Contender, peer.ErrAbsent)
	}
	random := rand.New(rand.NewPCG(1, 1))
	return repeatReads(ctx, t, p, func() (int64, error) {
		tag := set.tag(random.Int64N(set.records))
		query := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{tag}}}}
		records := int64(0)
		for record, err := range store.Store.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: query}, Borrow: t.Borrow}) {
			if err != nil {
				return 0, err
			}
			if len(record.Tags) != 1 || record.Tags[0] != tag {
				return 0, fmt.Errorf("a record with the tags %v came for %s", record.Tags, tag)
			}
			records++
		}
		if records == 0 {
			return 0, fmt.Errorf("nothing came for %s", tag)
		}
		return records, nil
	})
}

// openSet opens a contender on the set of records that it was loaded with.
func openSet(ctx context.Context, t Task) (peer.Peer, dataset, error) {
	set, err := newDataset(t)
	if err != nil {
		return nil, dataset{}, err
	}
	place := set.place(true)
	place.Borrow = t.Borrow
	p, err := open(ctx, t, place)
	return p, set, err
}

// openLog is openSet for a contender whose streams have one order.
func openLog(ctx context.Context, t Task) (peer.Peer, peer.LogReader, dataset, error) {
	p, set, err := openSet(ctx, t)
	if err != nil {
		return nil, nil, dataset{}, err
	}
	log, ok := peer.As[peer.LogReader](p)
	if !ok {
		p.Close()
		return nil, nil, dataset{}, fmt.Errorf("%s has no order over all streams: %w", t.Contender, peer.ErrAbsent)
	}
	return p, log, set, nil
}

// repeatReads reads until the duration of the task has gone by, and at least
// once after the first time, which does not count: the files are warm then.
func repeatReads(ctx context.Context, t Task, p peer.Peer, read func() (records int64, err error)) (Result, error) {
	if _, err := read(); err != nil {
		return Result{}, err
	}
	processor := measure.Processor
	var version string
	if p != nil {
		var err error
		if processor, err = processorClock(ctx, p); err != nil {
			return Result{}, err
		}
		version = versionOf(ctx, p)
	}
	latencies := measure.NewLatencies()
	result := Result{Version: version}
	before, start := processor(), time.Now()
	for began := start; ; {
		records, err := read()
		if err != nil {
			return Result{}, err
		}
		now := time.Now()
		latencies.Add(now.Sub(began))
		began = now
		result.Events += records
		if now.Sub(start) >= t.Duration {
			break
		}
		if ctx.Err() != nil {
			return Result{}, errors.Join(ctx.Err())
		}
	}
	result.Elapsed, result.Processor = time.Since(start), processor()-before
	result.P50, result.P99, result.P999 = latencies.Quantile(0.5), latencies.Quantile(0.99), latencies.Quantile(0.999)
	return result, nil
}
