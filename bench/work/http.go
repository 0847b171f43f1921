package work

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/internal/wire"

	"github.com/daybook-go/daybook/bench/client"
	"github.com/daybook-go/daybook/bench/measure"
	"github.com/daybook-go/daybook/bench/peer"
)

// The contenders of HTTP appends besides Daybook: what a net/http handler
// costs that stores nothing.
const (
	handlerReads  = "handler"       // reads the body and answers
	handlerSplits = "handler-split" // besides, cuts the JSON into its events
)

// fixedReply is what the handlers answer, as long as a receipt.
var fixedReply = wire.AppendReceipt(nil, &daybook.Receipt{
	AppendID: daybook.IDOf("fixed"), RecordedAt: time.Unix(1790000000, 0), Durability: daybook.DurabilityDisk,
	Changesets: []daybook.ChangesetReceipt{{Stream: daybook.Stream("account-1"), Number: 1000, First: 1000, Last: 1000, FirstPosition: 100_000, LastPosition: 100_000}},
})

// httpAppend serves appends to connections that another process holds, each
// with a stream of its own.
func httpAppend(ctx context.Context, t Task) (Result, error) {
	handler, closeStore, err := appendHandler(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer closeStore()
	var answers client.Answers
	var processor time.Duration
	err = serve(ctx, handler, func(address string) error {
		sends, err := httpAppends(t)
		if err != nil {
			return err
		}
		sends.Address = address
		before := measure.Processor()
		if err := runClient(ctx, "send", sends, nil, &answers); err != nil {
			return err
		}
		processor = measure.Processor() - before
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	events := answers.Requests * int64(t.Group)
	return Result{
		Events: events, Elapsed: answers.Elapsed, P50: answers.P50, P99: answers.P99, P999: answers.P999,
		// What the warm-up cost is left out in proportion.
		Processor: time.Duration(float64(processor) * float64(answers.Requests) / float64(answers.All)),
	}, nil
}

// httpAppends returns what the connections send.
func httpAppends(t Task) (client.Appends, error) {
	list, err := bodies(bodyCount, t.Bytes)
	if err != nil {
		return client.Appends{}, err
	}
	sends := client.Appends{Path: "/appends", WarmUp: t.Duration / warmUp, Duration: t.Duration}
	for n := range t.Writers {
		source := newEventSource(list, n, t.Group, ownStream(n), "")
		var events []json.RawMessage
		for _, event := range source.append().Events {
			events = append(events, fmt.Appendf(nil, `{"type":"deposited","data":%s}`, event.Data))
		}
		body := map[string]any{"changesets": []any{map[string]any{"stream_id": ownStream(n), "events": events}}}
		if t.Volatile {
			body["durability"] = daybook.DurabilityMemory.String()
		}
		encoded, err := json.Marshal(body)
		if err != nil {
			return client.Appends{}, err
		}
		sends.Bodies = append(sends.Bodies, encoded)
	}
	return sends, nil
}

// appendHandler returns the handler of a contender.
func appendHandler(ctx context.Context, t Task) (handler http.Handler, closeStore func() error, err error) {
	nothing := func() error { return nil }
	switch t.Contender {
	case handlerReads, handlerSplits:
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil && t.Contender == handlerSplits {
				err = splitEvents(body, t.Group)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(fixedReply)
		}), nothing, nil
	}
	store, err := openDaybookStore(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	return newHandler(store), store.Close, nil
}

// openDaybookStore opens the contender of a task, which must be Daybook.
func openDaybookStore(ctx context.Context, t Task) (*daybook.Store, error) {
	p, err := open(ctx, t, peer.Place{})
	if err != nil {
		return nil, err
	}
	store, ok := p.(*peer.Daybook)
	if !ok {
		return nil, fmt.Errorf("%s does not speak HTTP: %w", t.Contender, errors.Join(peer.ErrAbsent, p.Close()))
	}
	return store.Store, nil
}

func newHandler(store *daybook.Store) http.Handler {
	return httpapi.New(store, &httpapi.Options{Logger: slog.New(slog.DiscardHandler)})
}

// splitEvents cuts the body of an append into its events, and does nothing
// with them.
func splitEvents(body []byte, want int) error {
	var a struct {
		Changesets []struct {
			Events []json.RawMessage `json:"events"`
		} `json:"changesets"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	if len(a.Changesets) != 1 || len(a.Changesets[0].Events) != want {
		return fmt.Errorf("the body does not hold %d events of one changeset", want)
	}
	return nil
}

// serve serves a handler on loopback while use runs.
func serve(ctx context.Context, handler http.Handler, use func(address string) error) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		served <- httpapi.Serve(ctx, listener, handler, &httpapi.ServerOptions{Grace: time.Second, Logger: slog.New(slog.DiscardHandler)})
	}()
	err = use(listener.Addr().String())
	stop()
	<-served // an error tells of connections that were cut off, which they are
	return err
}

// runClient runs this program as the other side (see Client), gives it its
// order, and reads its result. If ready is not nil, the other side first says
// that it is ready.
func runClient(ctx context.Context, role string, order any, ready func(), result any) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	input, err := json.Marshal(order)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, "client", role)
	command.Stdin = bytes.NewReader(input)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	told := json.NewDecoder(output)
	if ready != nil {
		var word string
		if err := told.Decode(&word); err != nil {
			return errors.Join(fmt.Errorf("the client: %w", err), command.Wait())
		}
		ready()
	}
	if err := told.Decode(result); err != nil {
		return errors.Join(fmt.Errorf("the client: %w", err), command.Wait())
	}
	return command.Wait()
}
