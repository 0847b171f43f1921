package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
)

// linearFor, in the environment, is how long histories are made: "10m". Without
// it two are.
const linearFor = "DAYBOOK_LINEAR"

const (
	linearClients = 4
	linearLives   = 5
	// callsPerLife is how many calls are answered before the server is killed,
	// about.
	callsPerLife = 50
)

// witness keeps a history of calls of a server that is killed and started again.
type witness struct {
	start time.Time

	mu       sync.Mutex
	history  []porcupine.Operation
	answered int
	moved    *sync.Cond // answered, life or over has changed
	life     int        // counts the servers
	url      string
	over     bool
}

// server waits for a server that was started after the one of a life; none: it
// is over.
func (w *witness) server(after int) (url string, life int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.life <= after && !w.over {
		w.moved.Wait()
	}
	if w.over {
		return "", 0
	}
	return w.url, w.life
}

func (w *witness) serve(url string, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.url, w.over = url, over
	w.life++
	w.moved.Broadcast()
}

// await waits until so many calls are answered, or a client has failed.
func (w *witness) await(t *testing.T, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n += w.answered; w.answered < n && !t.Failed(); {
		w.moved.Wait()
	}
}

// note makes a call and keeps it.
func (w *witness) note(client int, c call, ask func() answer) answer {
	called := time.Since(w.start)
	a := ask()
	returned := time.Since(w.start)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, porcupine.Operation{ClientId: client, Input: c, Output: a, Call: int64(called), Return: int64(returned)})
	if !a.unknown {
		w.answered++
	}
	w.moved.Broadcast()
	return a
}

// linearClient makes calls, one after the other.
type linearClient struct {
	t       *testing.T
	number  int
	witness *witness
	random  *rand.Rand
	driver  daybook.Driver
	heads   map[string]daybook.Head     // as far as it knows
	tagged  map[string]daybook.Position // the last it saw of each tag
	lost    *daybook.Append             // was not answered
	sent    []*daybook.Append
}

// run makes calls until it is over. When the server is gone it goes on with the
// next one.
func (c *linearClient) run(ctx context.Context) {
	for life := 0; ; {
		var url string
		if url, life = c.witness.server(life); url == "" {
			return
		}
		driver, err := remote.Open(url, &remote.Options{Retries: -1})
		if err != nil {
			c.t.Error(err)
			return
		}
		c.driver = driver
		for gone := false; !gone && !c.t.Failed(); {
			gone = c.one(ctx)
		}
		if err := driver.Close(); err != nil {
			c.t.Error(err)
		}
	}
}

// one makes one call. It reports whether the server was gone.
func (c *linearClient) one(ctx context.Context) (gone bool) {
	switch k := c.random.IntN(10); {
	case c.lost != nil && k < 8:
		return c.append(ctx, c.lost)
	case k < 2:
		return c.read(ctx, call{stream: c.stream()})
	case k < 3:
		return c.read(ctx, call{tag: c.tag()})
	case k < 4 && len(c.sent) > 0:
		return c.append(ctx, c.sent[c.random.IntN(len(c.sent))])
	default:
		return c.append(ctx, c.invent())
	}
}

func (c *linearClient) stream() string { return fmt.Sprintf("account-%d", c.random.IntN(3)) }
func (c *linearClient) tag() string    { return fmt.Sprintf("tag:%d", c.random.IntN(3)) }

// invent returns an append that is often taken.
func (c *linearClient) invent() *daybook.Append {
	a := &daybook.Append{ID: daybook.NewID()}
	var taken, given []daybook.Claim // no claim may stand twice in an append
	for _, name := range []string{c.stream(), c.stream()}[:1+c.random.IntN(2)] {
		id := daybook.Stream(name)
		if slices.ContainsFunc(a.Changesets, func(other daybook.Changeset) bool { return other.Stream == id }) {
			continue
		}
		changeset := daybook.Changeset{Stream: id, Expect: c.expect(name)}
		for range 1 + c.random.IntN(2) {
			changeset.Events = append(changeset.Events, daybook.Event{ID: daybook.NewID(), Type: "moved", Tags: []string{c.tag()}, Data: []byte("{}")})
		}
		claim := daybook.Claim{Kind: "seat", Value: strconv.Itoa(c.random.IntN(2))}
		switch k := c.random.IntN(8); {
		case k < 2 && len(taken) == 0:
			changeset.Claims, taken = []daybook.Claim{claim}, []daybook.Claim{claim}
		case k < 4 && len(given) == 0:
			changeset.Releases, given = []daybook.Claim{claim}, []daybook.Claim{claim}
		case k == 4:
			changeset.References = []daybook.StreamID{daybook.Stream(c.stream())}
		}
		a.Changesets = append(a.Changesets, changeset)
	}
	if c.random.IntN(3) == 0 {
		tag := c.tag()
		a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{tag}}}}, After: c.tagged[tag]}
	}
	return a
}

func (c *linearClient) expect(name string) daybook.Expect {
	head := c.heads[name]
	switch c.random.IntN(6) {
	case 0:
		return daybook.ExpectNone()
	case 1:
		return daybook.ExpectExists()
	case 2:
		return daybook.ExpectVersion(head.Version)
	case 3:
		return daybook.ExpectChangeset(head.Changeset)
	default:
		return daybook.ExpectAny()
	}
}

func (c *linearClient) append(ctx context.Context, a *daybook.Append) (gone bool) {
	got := c.witness.note(c.number, call{append: a}, func() answer {
		receipt, err := c.driver.Append(ctx, *a)
		switch {
		case errors.Is(err, daybook.ErrConflict) && !errors.As(err, new(*remote.UnreachableError)):
			return answer{err: err}
		case err != nil:
			// A reply that was cut may tell no more than its status: then nothing is known.
			if errors.Is(err, daybook.ErrInvalid) {
				c.t.Errorf("%s: %v", call{append: a}, err)
			}
			return answer{unknown: true}
		}
		got := answer{repeated: receipt.Repeated}
		for _, r := range receipt.Changesets {
			got.positions = append(got.positions, r.FirstPosition)
			c.heads[r.Stream.Name] = daybook.Head{Version: r.Last, Changeset: r.Number}
		}
		return got
	})
	c.sent, c.lost = append(c.sent, a), nil
	if got.unknown {
		c.lost = a
	}
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	if errors.As(got.err, &conflict) {
		c.heads[conflict.Stream.Name] = conflict.Found
	}
	if errors.As(got.err, &condition) {
		c.tagged[a.Condition.Query.Items[0].Tags[0]] = condition.Found
	}
	return got.unknown
}

func (c *linearClient) read(ctx context.Context, what call) (gone bool) {
	records := c.driver.ReadStream(ctx, daybook.Stream(what.stream), daybook.StreamRead{})
	if what.tag != "" {
		records = c.driver.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{what.tag}}}}}})
	}
	got := c.witness.note(c.number, what, func() (got answer) {
		for r, err := range records {
			if err != nil {
				return answer{unknown: true}
			}
			got.positions = append(got.positions, r.Position)
		}
		return got
	})
	if n := len(got.positions); n > 0 && what.tag != "" {
		c.tagged[what.tag] = got.positions[n-1]
	}
	return got.unknown
}

func TestServerThatIsKilledAnswersAsIfOneCallWereMadeAfterTheOther(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	var long time.Duration
	if text := os.Getenv(linearFor); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	began := time.Now()
	n, calls, lost, found := 0, 0, 0, 0
	for ; n < 2 || time.Since(began) < long; n++ {
		history, places := killedHistory(t, seed+uint64(n))
		kept := settled(history, places)
		for _, o := range history {
			if o.Output.(answer).unknown {
				lost++
			}
		}
		for _, o := range kept {
			if o.Output.(answer).unknown {
				found++
			}
		}
		calls += len(history)
		switch explained(kept, time.Minute) {
		case porcupine.Illegal:
			t.Fatalf("seed %d: no order of the calls explains their answers:\n%s", seed+uint64(n), listed(kept))
		case porcupine.Unknown:
			t.Logf("seed %d: the check did not end", seed+uint64(n))
		}
		if n == 0 {
			wantIllegal(t, kept)
		}
	}
	t.Logf("%d histories, %d calls, of which %d were not answered, and had an effect in %d cases", n, calls, lost, found)
}

// killedHistory makes a history, and returns where in the log each append
// stands in the end.
func killedHistory(t *testing.T, seed uint64) ([]porcupine.Operation, map[daybook.ID][]daybook.Position) {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(seed, 0))
	w := &witness{start: time.Now()}
	w.moved = sync.NewCond(&w.mu)
	var group sync.WaitGroup
	for n := range linearClients {
		group.Go(func() { newLinearClient(t, w, seed, n).run(t.Context()) })
	}
	start := func() *server {
		s, err := startServer(dir, "file:data")
		if err != nil {
			w.serve("", true)
			t.Fatal(err)
		}
		return s
	}
	for range linearLives {
		s := start()
		w.serve(s.url, false)
		w.await(t, callsPerLife/2+random.IntN(callsPerLife))
		s.kill()
	}
	w.serve("", true)
	group.Wait()
	s := start()
	defer s.kill()
	driver, err := remote.Open(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	return w.history, lastReads(t, newLinearClient(t, w, seed, linearClients), driver)
}

func newLinearClient(t *testing.T, w *witness, seed uint64, n int) *linearClient {
	return &linearClient{
		t: t, number: n, witness: w, random: rand.New(rand.NewPCG(seed, uint64(n)+1)),
		heads: map[string]daybook.Head{}, tagged: map[string]daybook.Position{},
	}
}

// lastReads reads everything, when nobody else calls any more, and returns where
// each append stands.
func lastReads(t *testing.T, last *linearClient, driver daybook.Driver) map[daybook.ID][]daybook.Position {
	t.Helper()
	last.driver = driver
	for i := range 3 {
		last.read(t.Context(), call{stream: fmt.Sprintf("account-%d", i)})
		last.read(t.Context(), call{tag: fmt.Sprintf("tag:%d", i)})
	}
	places := map[daybook.ID][]daybook.Position{}
	var before *daybook.ChangesetHeader
	for r, err := range driver.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		if before == nil || before.Ordinal != r.Changeset.Ordinal {
			places[r.Changeset.AppendID] = append(places[r.Changeset.AppendID], r.Position)
		}
		before = r.Changeset
	}
	return places
}

func TestStoreOnLocalFilesAnswersAsIfOneCallWereMadeAfterTheOther(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	for n := range uint64(3) {
		driver, err := disk.Open(t.TempDir(), &disk.Options{SegmentBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		w := &witness{start: time.Now()}
		w.moved = sync.NewCond(&w.mu)
		var group sync.WaitGroup
		for client := range 2 * linearClients {
			c := newLinearClient(t, w, seed+n, client)
			c.driver = driver
			group.Go(func() {
				for range callsPerLife {
					c.one(t.Context())
				}
			})
		}
		group.Wait()
		places := lastReads(t, newLinearClient(t, w, seed+n, 2*linearClients), driver)
		kept := settled(w.history, places)
		if len(kept) != len(w.history) {
			t.Errorf("%d of %d calls were not answered", len(w.history)-len(kept), len(w.history))
		}
		if explained(kept, time.Minute) == porcupine.Illegal {
			t.Errorf("seed %d: no order of the calls explains their answers:\n%s", seed+n, listed(kept))
		}
		if err := driver.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wantIllegal bends the history: the check must say so, or it is worth nothing.
func wantIllegal(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	bent := map[string]bool{}
	for i, o := range slices.Backward(history) {
		c, a := o.Input.(call), o.Output.(answer)
		what := ""
		switch {
		case c.append == nil && len(a.positions) > 1:
			what, a.positions = "a read that lacks its last record", a.positions[:len(a.positions)-1]
		case c.append != nil && !a.unknown && a.err == nil && !a.repeated:
			what, a.err, a.positions = "an append that is there, and was refused", &daybook.ReferenceError{Reference: daybook.Stream("account-0")}, nil
		case errors.As(a.err, new(*daybook.ConflictError)):
			what, a = "an append that was refused, and is answered with a receipt", answer{positions: []daybook.Position{1 << 40}}
		}
		if what == "" || bent[what] {
			continue
		}
		bent[what] = true
		changed := slices.Clone(history)
		changed[i].Output = a
		if result := explained(changed, time.Minute); result != porcupine.Illegal {
			t.Errorf("%s: the check says %v", what, result)
		}
	}
	if len(bent) < 3 {
		t.Errorf("only %v could be bent", bent)
	}
}

func listed(history []porcupine.Operation) string {
	var text strings.Builder
	for _, o := range history {
		fmt.Fprintf(&text, "  client %d, %11d to %11d: %s -> %s\n", o.ClientId, o.Call, o.Return, o.Input, o.Output)
	}
	return text.String()
}
