package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/verify"
	"golang.org/x/sync/errgroup"
)

// What tells this program that it is one of several processes of a test: the
// store, and what its chance follows.
const (
	processURL  = "DAYBOOK_TEST_PROCESS_URL"
	processSeed = "DAYBOOK_TEST_PROCESS_SEED"
)

// Of each process.
const (
	workers   = 4
	decisions = 60 // of a worker
)

func TestMain(m *testing.M) {
	if address := os.Getenv(processURL); address != "" {
		if err := work(context.Background(), address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// decided is the data of an event: on what it was decided.
type decided struct {
	Expect  int64           `json:"expect"` // the version before; -1 any
	Query   *daybook.Query  `json:"query,omitempty"`
	After   int64           `json:"after,omitempty"`
	Refers  string          `json:"refers,omitempty"`
	Claims  []daybook.Claim `json:"claims,omitempty"`
	Release []daybook.Claim `json:"release,omitempty"`
}

func TestTwoProcessesDecideAsOne(t *testing.T) {
	const processes = 2
	random := randomOf(t)
	address := freshSchema(t)
	store := daybook.New(open(t, address, nil), nil)
	f := follow(t.Context(), store)
	running := make([]*exec.Cmd, processes)
	said := make(chan error, processes)
	for p := range running {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), processURL+"="+address, processSeed+"="+strconv.FormatUint(random.Uint64(), 10))
		go func() {
			output, err := c.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("a process: %w\n%s", err, output)
			}
			said <- err
		}()
		running[p] = c
	}
	for range running {
		if err := <-said; err != nil {
			t.Fatal(err)
		}
	}
	log := records(t, store.ReadLog(t.Context(), daybook.LogRead{}))
	for range log {
		f.next(t)
	}
	checkDecisions(t, log)
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("what was found: %v (%v)", report.Findings, err)
	}
	if len(log) < processes*workers*decisions {
		t.Errorf("the log has %d records, at least %d were acknowledged", len(log), processes*workers*decisions)
	}
}

// checkDecisions holds each record to what it was decided on.
func checkDecisions(t *testing.T, log []daybook.Record) {
	t.Helper()
	holders := map[daybook.Claim]daybook.StreamID{}
	there := map[daybook.StreamID]bool{}
	for i, r := range log {
		var d decided
		if err := json.Unmarshal(r.Data, &d); err != nil {
			t.Fatalf("position %d: %v", r.Position, err)
		}
		if d.Expect >= 0 && daybook.Version(d.Expect) != r.Version-1 {
			t.Errorf("position %d expected version %d and has %d", r.Position, d.Expect, r.Version)
		}
		if i > 0 && r.RecordedAt.Before(log[i-1].RecordedAt) {
			t.Errorf("position %d was recorded before the one before it", r.Position)
		}
		for _, other := range log[:i] {
			if d.Query != nil && int64(other.Position) > d.After && d.Query.Matches(other.Type, other.Tags) {
				t.Errorf("position %d was decided on condition that nothing matches behind %d, position %d does", r.Position, d.After, other.Position)
			}
		}
		if d.Refers != "" && !there[daybook.Stream(d.Refers)] {
			t.Errorf("position %d refers to %s, which was not there", r.Position, d.Refers)
		}
		for _, c := range d.Release {
			if holder, held := holders[c]; held && holder != r.Stream {
				t.Errorf("position %d releases a claim of %s", r.Position, holder)
			}
			delete(holders, c)
		}
		for _, c := range d.Claims {
			if holder, held := holders[c]; held && holder != r.Stream {
				t.Errorf("position %d takes a claim of %s", r.Position, holder)
			}
			holders[c] = r.Stream
		}
		there[r.Stream] = true
	}
}

// work is what one process does: workers that decide, and a follower that sees
// every position one after the other.
func work(ctx context.Context, address string) error {
	seed, err := strconv.ParseUint(os.Getenv(processSeed), 10, 64)
	if err != nil {
		return err
	}
	d, err := postgres.Open(ctx, address, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	store := daybook.New(d, nil)
	following, stop := context.WithCancel(ctx)
	defer stop()
	f := follow(following, store)
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		w := &worker{store: store, random: rand.New(rand.NewPCG(seed, uint64(w)))}
		group.Go(func() error {
			for w.stored < decisions {
				if err := w.decide(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	end, err := store.End(context.Background())
	if err != nil {
		return err
	}
	for {
		select {
		case record := <-f.seen:
			if record.Position >= end {
				return nil
			}
		case err := <-f.err:
			return err
		}
	}
}

// worker makes decisions, one after the other.
type worker struct {
	store  *daybook.Store
	random *rand.Rand
	stored int
}

// decide makes a random decision, and sends some of them twice.
func (w *worker) decide(ctx context.Context) error {
	a, err := w.proposal(ctx)
	if err != nil {
		return err
	}
	receipt, err := w.store.AppendAll(ctx, a)
	if errors.Is(err, daybook.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	w.stored++
	if w.random.IntN(8) == 0 {
		repeated, err := w.store.AppendAll(ctx, a)
		if err != nil || !repeated.Repeated || repeated.Position() != receipt.Position() {
			return fmt.Errorf("repeated, an append at %d is answered with %+v (%w)", receipt.Position(), repeated, err)
		}
	}
	return nil
}

// proposal returns an append, decided on the log as it is.
func (w *worker) proposal(ctx context.Context) (daybook.Append, error) {
	name := func(kind string) string { return fmt.Sprintf("%s-%d", kind, w.random.IntN(5)) }
	a := daybook.Append{ID: daybook.NewID()}
	c := daybook.Changeset{Stream: daybook.Stream(name("account")), Expect: daybook.ExpectAny()}
	e := daybook.Event{Type: name("kind"), Tags: []string{name("tag")}}
	why := decided{Expect: -1}
	switch w.random.IntN(7) {
	case 0:
		c.Stream, c.Expect, why.Expect = daybook.Stream("new-"+a.ID.String()), daybook.ExpectNone(), 0
	case 1, 2:
		head, err := w.store.Head(ctx, c.Stream)
		if err != nil {
			return a, err
		}
		c.Expect, why.Expect = daybook.ExpectVersion(head.Version), int64(head.Version)
		if w.random.IntN(2) == 0 {
			c.Expect = daybook.ExpectChangeset(head.Changeset)
		}
	case 3:
		query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{name("kind")}}, {Tags: []string{name("tag")}}}}
		end, err := w.store.End(ctx)
		if err != nil {
			return a, err
		}
		a.Condition = &daybook.Condition{Query: query, After: end}
		why.Query, why.After = &query, int64(end)
	case 4:
		c.Claims = []daybook.Claim{{Kind: "seat", Value: name("seat")}}
		if held := (daybook.Claim{Kind: "seat", Value: name("seat")}); w.random.IntN(2) == 0 && held != c.Claims[0] {
			c.Releases = []daybook.Claim{held}
		}
		why.Claims, why.Release = c.Claims, c.Releases
	case 5:
		why.Refers = name("account")
		c.References = []daybook.StreamID{daybook.Stream(why.Refers)}
		if why.Refers == c.Stream.Name {
			why.Refers = ""
		}
	default: // plain
		e.Tags = nil
		if w.random.IntN(2) == 0 {
			c.Expect = daybook.ExpectExists()
		}
	}
	var err error
	if e.Data, err = json.Marshal(why); err != nil {
		return a, err
	}
	c.Events = []daybook.Event{e}
	a.Changesets = []daybook.Changeset{c}
	return a, nil
}
