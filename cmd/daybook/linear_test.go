package main

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
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
	// orderPatience is how long an order of a history is looked for.
	orderPatience = 2 * time.Minute
)

// seedOf returns the seed that the environment names, or else a fresh one.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("DAYBOOK_SEED: %v", err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	return seed
}

// spanOf returns the time span that a variable of the environment names, or else
// the given one.
func spanOf(t *testing.T, variable string, otherwise time.Duration) time.Duration {
	t.Helper()
	if text := os.Getenv(variable); text != "" {
		long, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return long
	}
	return otherwise
}

func TestServerThatIsKilledAnswersAsIfOneCallWereMadeAfterTheOther(t *testing.T) {
	seed, long := seedOf(t), spanOf(t, linearFor, 0)
	began := time.Now()
	n, calls, lost, found := 0, 0, 0, 0
	for ; n < 2 || time.Since(began) < long; n++ {
		start := startTried
		if n%2 == 1 {
			start = func(dir string) (*server, error) { return startServer(dir, "file:data") }
		}
		w := killedHistory(t, seed+uint64(n), start)
		kept := w.settled()
		unknown := 0
		for _, o := range w.history {
			if o.Output.(answer).unknown {
				unknown++
			}
		}
		calls, lost, found = calls+len(w.history), lost+unknown, found+len(kept)-(len(w.history)-unknown)
		wantExplained(t, seed+uint64(n), kept)
		if n == 0 {
			wantIllegal(t, kept)
		}
	}
	t.Logf("%d histories, %d calls, of which %d were not answered, and had an effect in %d cases", n, calls, lost, found)
}

// wantExplained fails unless there is an order of the calls of a history.
func wantExplained(t *testing.T, seed uint64, history []porcupine.Operation) {
	t.Helper()
	switch result, stuck := explained(history, orderPatience); result {
	case porcupine.Illegal:
		t.Fatalf("seed %d: no order of the calls explains their answers:\n%s\n%s", seed, listed(history), stuck)
	case porcupine.Unknown:
		t.Logf("seed %d: the search for an order did not end", seed)
	}
}

// killedHistory makes a history of a server that is killed and started again.
func killedHistory(t *testing.T, seed uint64, start func(dir string) (*server, error)) *witness {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWitness()
	var group sync.WaitGroup
	for n := range linearClients {
		group.Go(func() { newLinearClient(t, w, seed, n).run(t.Context()) })
	}
	defer group.Wait()
	defer w.end()
	for range linearLives {
		s, err := start(dir)
		if err != nil {
			t.Fatal(err)
		}
		w.serve(s.url)
		w.await(t, callsPerLife/2+random.IntN(callsPerLife))
		s.kill()
		w.bury()
		s.wantNoError(t)
		if random.IntN(2) == 0 {
			run(t, dir, "compact", "--store", "file:data")
		}
	}
	w.end()
	group.Wait()
	s, err := start(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	last := newLinearClient(t, w, seed, linearClients)
	last.with(s.url, func() { last.finish(t.Context()) })
	return w
}

func TestStoreOnLocalFilesAnswersAsIfOneCallWereMadeAfterTheOther(t *testing.T) {
	seed, long := seedOf(t), spanOf(t, linearFor, 0)
	for n, began := uint64(0), time.Now(); n < 3 || time.Since(began) < long; n++ {
		driver, err := disk.Open(t.TempDir(), &disk.Options{SegmentBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		compacting := make(chan error, 1)
		done := make(chan struct{})
		go func() { compacting <- compactUntil(driver, done) }()
		w := ownHistory(t, seed+n, 2*linearClients, driver)
		close(done)
		if err := <-compacting; err != nil {
			t.Errorf("compaction beside the calls: %v", err)
		}
		wantExplained(t, seed+n, w.settled())
		if err := driver.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// compactUntil compacts a store, again and again.
func compactUntil(driver *disk.Driver, done <-chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-done:
			return nil
		default:
		}
		if _, err := driver.Compact(context.Background(), &disk.CompactOptions{ScrubsOnly: n%3 > 0}); err != nil {
			return err
		}
	}
}

// ownHistory makes a history of a store in this process.
func ownHistory(t *testing.T, seed uint64, clients int, driver daybook.Driver) *witness {
	t.Helper()
	w := newWitness()
	store := daybook.New(driver, nil)
	var group sync.WaitGroup
	for n := range clients {
		c := newLinearClient(t, w, seed, n)
		c.store = store
		group.Go(func() {
			for range callsPerLife {
				if c.one(t.Context()) {
					t.Errorf("a call was not answered")
				}
			}
		})
	}
	group.Wait()
	last := newLinearClient(t, w, seed, clients)
	last.store = store
	last.finish(t.Context())
	return w
}

// wantIllegal bends the history: the check must say so, or it is worth nothing.
func wantIllegal(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	bent := map[string]bool{}
	for i, o := range slices.Backward(history) {
		a := o.Output.(answer)
		what := ""
		switch q := o.Input.(type) {
		case streamCall:
			if n := len(a.seen); n > 1 && q.beside[q.id].through == 0 {
				what, a.seen = "a read that lacks its last record", a.seen[:n-1]
			}
		case appendCall:
			if a.err == nil && !a.receipt.Repeated {
				what, a = "an append that is there, and was refused", answer{err: &daybook.ReferenceError{Reference: q.Changesets[0].Stream}}
			}
		case deletionCall:
			if a.deletion.Records > 0 && !a.deletion.Repeated {
				a.deletion.Through--
				what = "a deletion that says that it took less"
			}
		}
		if what == "" || bent[what] {
			continue
		}
		bent[what] = true
		changed := slices.Clone(history)
		changed[i].Output = a
		if result, _ := explained(changed, orderPatience); result != porcupine.Illegal {
			t.Errorf("%s: the check says %v", what, result)
		}
	}
	if len(bent) < 3 {
		t.Errorf("only %v could be bent", bent)
	}
}
