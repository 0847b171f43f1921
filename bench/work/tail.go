package work

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"

	"github.com/daybook-go/daybook/bench/client"
	"github.com/daybook-go/daybook/bench/measure"
)

// coalescing is the contender that only writes what waits to each reader: the
// bound of the live tail.
const coalescing = "coalescing"

// httpTail publishes records to readers of a live stream, which another
// process holds, and measures until all readers have all of them.
func httpTail(ctx context.Context, t Task) (Result, error) {
	list, err := bodies(bodyCount, t.Bytes)
	if err != nil {
		return Result{}, err
	}
	if t.Contender == coalescing {
		tail := &tailRing{grown: make(chan struct{})}
		return measureTail(ctx, t, tail, func() error {
			for n := int64(0); n < t.Records; n += int64(t.Group) {
				tail.publish(list, n, min(int64(t.Group), t.Records-n))
			}
			return nil
		})
	}
	store, err := openDaybookStore(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer store.Close()
	return measureTail(ctx, t, newHandler(store), func() error {
		for n := int64(0); n < t.Records; n += int64(t.Group) {
			events := make([]daybook.Event, min(int64(t.Group), t.Records-n))
			for i := range events {
				events[i] = tailEvent(list, n+int64(i))
			}
			if _, err := store.Append(ctx, tailStream, daybook.ExpectAny(), events...); err != nil {
				return err
			}
		}
		return nil
	})
}

var tailStream = daybook.Stream("account-1")

func tailEvent(list [][]byte, n int64) daybook.Event {
	return daybook.Event{Type: "deposited", Data: list[n%int64(len(list))]}
}

// measureTail serves handler to the readers, publishes when all of them are
// there, and measures until all of them have the last record.
func measureTail(ctx context.Context, t Task, handler http.Handler, publish func() error) (Result, error) {
	var seen client.Tailed
	var start time.Time
	var elapsed, processor time.Duration
	published := make(chan error, 1)
	err := serve(ctx, handler, func(address string) error {
		order := client.Tail{URL: "http://" + address + "/records", Readers: t.Writers, Last: t.Records}
		ready := func() {
			start, processor = time.Now(), measure.Processor()
			go func() { published <- publish() }()
		}
		err := runClient(ctx, "tail", order, ready, &seen)
		elapsed, processor = time.Since(start), measure.Processor()-processor
		return err
	})
	if err != nil {
		return Result{}, err
	}
	if err := <-published; err != nil {
		return Result{}, err
	}
	if seen.Events < t.Records {
		return Result{}, fmt.Errorf("a reader has seen %d events of %d", seen.Events, t.Records)
	}
	return Result{Events: t.Records, Elapsed: elapsed, Processor: processor, Lost: seen.Lost}, nil
}

// tailRing is the bare coalescing writer: the records as they leave, once in
// memory, and one reader's loop: write all that waits, then wait.
type tailRing struct {
	mu    sync.Mutex
	sent  []byte        // only ever appended to
	grown chan struct{} // closed, and replaced, when sent has grown
}

// publish adds records from the nth on.
func (r *tailRing) publish(list [][]byte, n, count int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	header := &daybook.ChangesetHeader{Number: daybook.ChangesetNumber(n/count + 1), First: daybook.Version(n + 1), Count: int(count), AppendID: daybook.IDOf("fixed")}
	for i := range count {
		position := n + i + 1
		event := tailEvent(list, n+i)
		event.ID, event.ContentType = header.AppendID, daybook.ContentTypeJSON
		record := daybook.Record{
			Event: event, Stream: tailStream, Version: daybook.Version(position), Position: daybook.Position(position),
			RecordedAt: time.UnixMicro(1_790_000_000_123_456), Changeset: header,
		}
		record.OccurredAt = record.RecordedAt
		r.sent = append(r.sent, "id: "...)
		r.sent = strconv.AppendInt(r.sent, position, 10)
		r.sent = append(r.sent, "\nevent: record\ndata: "...)
		r.sent = wire.AppendRecord(r.sent, &record)
		r.sent = append(r.sent, "\n\n"...)
	}
	close(r.grown)
	r.grown = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (r *tailRing) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	if control.Flush() != nil {
		return
	}
	const piece = 64 << 10
	for place := 0; ; {
		r.mu.Lock()
		waiting, grown := r.sent[place:], r.grown
		r.mu.Unlock()
		if len(waiting) == 0 {
			select {
			case <-grown:
			case <-request.Context().Done():
				return
			}
			continue
		}
		waiting = waiting[:min(len(waiting), piece)]
		if _, err := w.Write(waiting); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		place += len(waiting)
	}
}
