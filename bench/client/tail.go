package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// Tail says what the readers of a live stream wait for.
type Tail struct {
	URL     string
	Readers int
	Last    int64 // the id of the event behind which a reader is done
}

// Tailed is what the readers have seen.
type Tailed struct {
	Bytes int64
	Lost  int64 // how often a reader was dropped, and came back
	// Events is how many events the first reader has counted.
	Events int64
}

// eventMark begins the data of every event but for those that only tell that
// the server is alive.
var eventMark = []byte("\ndata: ")

// Follow opens a connection for each reader, calls ready when all of them are
// being served, and returns when all of them have the last event.
func Follow(ctx context.Context, t Tail, ready func() error) (Tailed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, ReadBufferSize: readPiece}}
	var seen Tailed
	var reading, served sync.WaitGroup
	served.Add(t.Readers)
	for n := range t.Readers {
		reading.Go(func() {
			r := reader{client: client, tail: t, counts: n == 0, served: sync.OnceFunc(served.Done)}
			defer r.served()
			if err := r.run(ctx); err != nil {
				cancel(fmt.Errorf("reader %d: %w", n, err))
			}
			atomic.AddInt64(&seen.Bytes, r.bytes)
			atomic.AddInt64(&seen.Lost, r.lost)
			if r.counts {
				seen.Events = r.events
			}
		})
	}
	served.Wait()
	if err := context.Cause(ctx); err != nil {
		return Tailed{}, err
	}
	if err := ready(); err != nil {
		return Tailed{}, err
	}
	reading.Wait()
	if err := context.Cause(ctx); err != nil {
		return Tailed{}, err
	}
	return seen, nil
}

// readPiece is how many bytes a reader takes at once, at most.
const readPiece = 64 << 10

// reader is one reader of the live stream.
type reader struct {
	client *http.Client
	tail   Tail
	counts bool   // whether it counts events: that costs more than reading them
	served func() // called when the server has begun to answer

	place  int64 // the id of the last event that it has looked at
	bytes  int64
	lost   int64
	events int64
}

// maxLost is how often a reader comes back before it gives up.
const maxLost = 1000

// run reads until the last event has come; when the server drops the reader,
// it comes back for what it has not seen, as browsers do.
func (r *reader) run(ctx context.Context) error {
	for r.place < r.tail.Last {
		err := r.connect(ctx)
		switch {
		case r.place >= r.tail.Last:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return err
		case r.lost == maxLost:
			return fmt.Errorf("dropped %d times", maxLost)
		}
		r.lost++
	}
	return nil
}

// connect reads one connection to its end.
func (r *reader) connect(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.tail.URL, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	if r.place > 0 {
		request.Header.Set("Last-Event-ID", fmt.Sprint(r.place))
	}
	reply, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", reply.Status)
	}
	r.served()
	buffer := make([]byte, readPiece)
	kept := 0
	for {
		n, err := reply.Body.Read(buffer[kept:])
		r.bytes += int64(n)
		kept = r.look(buffer[:kept+n], kept)
		if err != nil || r.place >= r.tail.Last {
			return err
		}
	}
}

// look finds the last id among the bytes, of which the first were kept from
// the time before, and keeps the end: what an event may have begun there.
func (r *reader) look(bytesRead []byte, kept int) int {
	if r.counts {
		// What was kept was counted, but for a mark that goes on in the new.
		r.events += int64(bytes.Count(bytesRead[max(0, kept-len(eventMark)+1):], eventMark))
	}
	whole := bytes.LastIndex(bytesRead, []byte("\n\n"))
	if whole >= 0 {
		if at := bytes.LastIndex(bytesRead[:whole], []byte("id: ")); at >= 0 {
			id := int64(0)
			for _, c := range bytesRead[at+4 : whole] {
				if c < '0' || c > '9' {
					break
				}
				id = id*10 + int64(c-'0')
			}
			r.place = max(r.place, id)
		}
	}
	const longest = 8 << 10
	from := max(whole, len(bytesRead)-longest, 0)
	return copy(bytesRead, bytesRead[from:])
}
