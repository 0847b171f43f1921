package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var historyPromises = []Promise{
	{
		Name: "concurrent calls have an order that explains every answer", Feature: Histories, check: checkLinearizable,
		Sentence: "Callers that work at the same time see states of a stream that never were, or contradict each other.",
	},
	{
		Name: "every random history ends as it does in the reference", Feature: Histories, check: checkRandomHistories,
		Sentence: "Some series of calls is answered otherwise, or leaves another log, than the storage in memory says.",
	},
}

// searchTime is how long an order of the calls is looked for. That is work, not
// waiting: how fast it goes says nothing about the driver.
const searchTime = time.Minute

// recorder keeps a concurrent history.
type recorder struct {
	start time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
}

// call makes a call and keeps it. One whose outcome is unknown never returns.
func (r *recorder) call(client int, in historyInput, ask func() historyOutput) historyOutput {
	called := time.Since(r.start)
	out := ask()
	returned := time.Since(r.start)
	if out.unknown {
		if in.read {
			return out
		}
		returned = 1 << 62
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: int64(called), Return: int64(returned),
	})
	return out
}

func checkLinearizable(s *subject) { s.linearizable(false) }

// linearizable looks for an order of concurrent appends and reads, and of
// deletions if wanted.
func (s *subject) linearizable(deletes bool) {
	s.Helper()
	random := s.random()
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		b, faulty := s.faultyBook()
		history := &recorder{start: time.Now()}
		if round%2 == 1 {
			for i := range 12 {
				fault := Fault{Call: CallAppend, Skip: 4, Before: ErrFault}
				if deletes && i%4 > 1 {
					fault.Call, fault.Skip = CallDeleteStream, 2
				}
				if i%2 == 0 {
					fault.Before, fault.After = nil, ErrFault
				}
				faulty.Cue(fault)
			}
		}
		group, ctx := errgroup.WithContext(s.Context())
		for client := range 4 {
			caller := &historyClient{client: client, b: b, history: history, deletes: deletes, random: rand.New(rand.NewPCG(random.Uint64(), 0))}
			group.Go(func() error { return caller.run(ctx, 25) })
		}
		s.must(group.Wait(), "round %d", round+1)
		faulty.Heal()
		final := &historyClient{client: 4, b: b, history: history}
		for stream := range 2 {
			s.must(final.read(s.Context(), numbered("account", stream)), "the read in the end")
		}
		switch result, _ := porcupine.CheckOperationsVerbose(historyModel(), history.operations, searchTime); result {
		case porcupine.Illegal:
			s.Fatalf("round %d: no order of the calls explains their answers:\n%s", round+1, history)
		case porcupine.Unknown:
			s.Logf("round %d: the check did not end within %v", round+1, searchTime)
		}
	}
}

// historyClient makes calls, one after the other.
type historyClient struct {
	client  int
	b       *book
	history *recorder
	random  *rand.Rand
	deletes bool
	sent    []daybook.Append        // to be repeated
	deleted []daybook.Deletion      // to be repeated
	known   map[string]daybook.Head // as far as the client knows
}

// run makes n calls of all kinds.
func (c *historyClient) run(ctx context.Context, n int) error {
	c.known = map[string]daybook.Head{}
	for range n {
		var err error
		stream := numbered("account", c.random.IntN(2))
		switch k := c.random.IntN(10); {
		case k < 3:
			err = c.read(ctx, stream)
		case c.deletes && k == 9 && len(c.deleted) > 0 && c.random.IntN(2) == 0:
			err = c.delete(ctx, c.deleted[c.random.IntN(len(c.deleted))])
		case c.deletes && k > 7:
			d := deletion(stream, daybook.Version(c.random.IntN(int(c.known[stream].Version)+2)))
			d.Expect = c.expect(stream)
			c.deleted = append(c.deleted, d)
			err = c.delete(ctx, d)
		case k < 5 && len(c.sent) > 0:
			err = c.append(ctx, c.sent[c.random.IntN(len(c.sent))])
		default:
			a := single(stream, c.expect(stream), several(1+c.random.IntN(2), "written")...)
			c.sent = append(c.sent, a)
			err = c.append(ctx, a)
		}
		if err != nil {
			return fmt.Errorf("client %d: %w", c.client, err)
		}
	}
	return nil
}

// expect returns an Expect that often holds.
func (c *historyClient) expect(stream string) daybook.Expect {
	head := c.known[stream]
	switch c.random.IntN(6) {
	case 0:
		return daybook.ExpectAny()
	case 1:
		return daybook.ExpectNone()
	case 2:
		return daybook.ExpectExists()
	case 3:
		return daybook.ExpectChangeset(head.Changeset)
	default:
		return daybook.ExpectVersion(head.Version)
	}
}

func (c *historyClient) read(ctx context.Context, stream string) error {
	var failure error
	c.history.call(c.client, historyInput{stream: stream, read: true}, func() historyOutput {
		records, err := gather(c.b.ReadStream(ctx, daybook.Stream(stream), daybook.StreamRead{}))
		if failure = err; err != nil {
			return historyOutput{unknown: true}
		}
		var ids strings.Builder
		for _, r := range records {
			ids.WriteString(r.Changeset.AppendID.String() + " ")
		}
		if c.known != nil && len(records) > 0 {
			last := records[len(records)-1]
			c.known[stream] = daybook.Head{Version: last.Version, Changeset: last.Changeset.Number}
		}
		return historyOutput{records: ids.String()}
	})
	return failure
}

func (c *historyClient) append(ctx context.Context, a daybook.Append) error {
	var failure error
	changeset := &a.Changesets[0]
	stream := changeset.Stream.Name
	in := historyInput{stream: stream, id: a.ID.String(), expect: changeset.Expect, count: len(changeset.Events)}
	c.history.call(c.client, in, func() historyOutput {
		receipt, err := c.b.driver.Append(ctx, a)
		var conflict *daybook.ConflictError
		switch {
		case errors.As(err, &conflict):
			c.known[stream] = conflict.Found
			return historyOutput{conflict: true, found: conflict.Found.Version}
		case errors.Is(err, ErrFault):
			return historyOutput{unknown: true}
		case err != nil || len(receipt.Changesets) != 1:
			failure = fmt.Errorf("append to %s: receipt %+v, error %w", stream, receipt, err)
			return historyOutput{unknown: true}
		}
		r := receipt.Changesets[0]
		c.known[stream] = daybook.Head{Version: r.Last, Changeset: r.Number}
		return historyOutput{repeated: receipt.Repeated, first: r.First}
	})
	return failure
}

func (c *historyClient) delete(ctx context.Context, d daybook.Deletion) error {
	var failure error
	stream := d.Stream.Name
	in := historyInput{stream: stream, delete: true, id: d.ID.String(), expect: d.Expect, through: d.Through}
	c.history.call(c.client, in, func() historyOutput {
		receipt, err := c.b.DeleteStream(ctx, d)
		var conflict *daybook.ConflictError
		switch {
		case errors.As(err, &conflict):
			c.known[stream] = conflict.Found
			return historyOutput{conflict: true, found: conflict.Found.Version, first: conflict.Found.First}
		case errors.Is(err, ErrFault):
			return historyOutput{unknown: true}
		case err != nil:
			failure = fmt.Errorf("delete from %s: %w", stream, err)
			return historyOutput{unknown: true}
		}
		return historyOutput{repeated: receipt.Repeated, first: receipt.Through + 1}
	})
	return failure
}

// String lists the calls.
func (r *recorder) String() string {
	var text strings.Builder
	for _, o := range r.operations {
		fmt.Fprintf(&text, "  client %d, %8d to %8d ns: %+v -> %+v\n", o.ClientId, o.Call, o.Return, o.Input, o.Output)
	}
	return text.String()
}
