package work

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/daybook-go/daybook/bench/peer"
)

// loadGroup is how many events are loaded at once.
const loadGroup = 1000

// tags is how many different tags the records of a set carry, one each: a tag
// selects one record in a hundred.
const tags = 100

// tail is which part of its records a process appends again, one by one,
// before it is killed.
const tail = 50

// dataset is what replays and openings are measured on: records in streams
// that grow in turn, each with one of a hundred tags, strewn at random.
type dataset struct {
	records, streams int64
	bodies           [][]byte
}

func newDataset(t Task) (dataset, error) {
	if t.Records <= 0 || t.Streams <= 0 || t.Records%t.Streams != 0 {
		return dataset{}, fmt.Errorf("%d records do not make %d streams of one length", t.Records, t.Streams)
	}
	list, err := bodies(bodyCount, t.Bytes)
	return dataset{records: t.Records, streams: t.Streams, bodies: list}, err
}

// name is that of the set, for peers that keep several.
func (d dataset) name() string { return fmt.Sprintf("set_%d_%d", d.records, d.streams) }

func (d dataset) stream(n int64) string { return fmt.Sprintf("account-%07d", n) }

// tag returns the tag of the nth record.
func (d dataset) tag(n int64) string {
	return fmt.Sprintf("group:%d", uint64(n)*0x9E3779B97F4A7C15>>32%tags)
}

// record returns the nth record as an append of its own.
func (d dataset) record(n int64) peer.Append {
	return peer.Append{
		Stream: d.stream(n % d.streams), First: n/d.streams + 1,
		Events: []peer.Event{{Data: d.bodies[n%int64(len(d.bodies))], Tag: d.tag(n)}},
	}
}

// pieces hands over the records as appends, many at once. A stream stands at
// most once in a piece, so that the peer sees records in their order.
func (d dataset) pieces(store func(appends []peer.Append) error) error {
	piece := make([]peer.Append, 0, loadGroup)
	for n := range d.records {
		piece = append(piece, d.record(n))
		if int64(len(piece)) == min(loadGroup, d.streams) || n == d.records-1 {
			if err := store(piece); err != nil {
				return err
			}
			piece = piece[:0]
		}
	}
	return nil
}

// place is where a peer keeps the set.
func (d dataset) place(keep bool) peer.Place {
	return peer.Place{Name: d.name(), Keep: keep, Unsynced: true}
}

// load stores a set of records. With Killed the process then appends a tail,
// durably and one by one, and ends by kill -9.
func load(ctx context.Context, t Task) (Result, error) {
	set, err := newDataset(t)
	if err != nil {
		return Result{}, err
	}
	place := set.place(false)
	place.Unsynced = !t.Killed
	p, err := open(ctx, t, place)
	if err != nil {
		return Result{}, err
	}
	if err := set.pieces(func(appends []peer.Append) error { return p.Append(ctx, appends...) }); err != nil {
		_ = p.Close()
		return Result{}, err
	}
	if t.Killed {
		for n := range set.records / tail {
			a := set.record(n)
			a.Stream = "account-tail"
			a.First = n + 1
			if err := p.Append(ctx, a); err != nil {
				return Result{}, err
			}
		}
		return Result{}, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return Result{Events: t.Records, Version: versionOf(ctx, p)}, p.Close()
}
