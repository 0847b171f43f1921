package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/verify"
)

// The server is killed with SIGKILL under concurrent writers, and started
// again on what it left behind, over and over.
const (
	kills       = 10
	writers     = 16
	acksPerKill = 160 // how many appends are acknowledged before the next kill, about
)

// ledger is what the writers know: every append that they have sent, and the
// receipts of those that were acknowledged.
type ledger struct {
	mu           sync.Mutex
	sent         map[daybook.ID]int // how many records
	acknowledged map[daybook.ID]daybook.Receipt
	refused      map[daybook.ID]bool // for want of room
	unknown      []daybook.Append    // those that were not answered
	last         daybook.Position    // that was acknowledged
	grown        chan struct{}       // gets a value, if it has room, with every receipt
}

func newLedger() *ledger {
	return &ledger{sent: map[daybook.ID]int{}, acknowledged: map[daybook.ID]daybook.Receipt{}, refused: map[daybook.ID]bool{}, grown: make(chan struct{}, 1)}
}

func (l *ledger) send(id daybook.ID, records int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[id] = records
}

func (l *ledger) lose(a daybook.Append) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown = append(l.unknown, a)
}

func (l *ledger) refuse(id daybook.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[id] = true
}

func (l *ledger) acknowledge(receipt daybook.Receipt) {
	l.mu.Lock()
	l.acknowledged[receipt.AppendID] = receipt
	l.last = max(l.last, receipt.Position())
	l.mu.Unlock()
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// end returns the last position that was acknowledged.
func (l *ledger) end() daybook.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// await returns when so many appends are acknowledged.
func (l *ledger) await(t *testing.T, n int) {
	t.Helper()
	patience := time.After(5 * time.Minute)
	for l.count() < n {
		select {
		case <-l.grown:
		case <-patience:
			t.Fatalf("only %d appends are acknowledged, waiting for %d", l.count(), n)
		}
	}
}

func TestServerThatIsKilledLosesNothingThatItAcknowledged(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = given
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	book := newLedger()
	for round := range kills {
		server, err := startServer(dir, "file:data")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for writer := range writers {
			choices := rand.New(rand.NewPCG(seed, uint64(1+round*writers+writer)))
			group.Go(func() { write(ctx, t, server.url, writer, choices, book) })
		}
		book.await(t, book.count()+acksPerKill/2+random.IntN(acksPerKill))
		server.kill()
		stop()
		group.Wait()
		check(t, dir+"/data", book)
	}
	sendAgain(t, dir, book)
	check(t, dir+"/data", book)
}

// sendAgain sends every append whose outcome is unknown once more.
func sendAgain(t *testing.T, dir string, book *ledger) {
	t.Helper()
	server, err := startServer(dir, "file:data")
	if err != nil {
		t.Fatal(err)
	}
	defer server.kill()
	driver, err := remote.Open(server.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	repeated := 0
	for _, a := range book.unknown {
		receipt, err := store.AppendAll(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Repeated {
			repeated++
		}
		book.acknowledge(receipt)
	}
	t.Logf("%d appends had an unknown outcome, %d of them were stored", len(book.unknown), repeated)
}

// write appends to its own stream and to one that all share until the server
// is gone. Every append has an id of its own, and is sent once: the driver may
// not repeat it, so that an unknown outcome stays unknown.
func write(ctx context.Context, t *testing.T, url string, writer int, random *rand.Rand, book *ledger) {
	driver, err := remote.Open(url, &remote.Options{Retries: -1})
	if err != nil {
		t.Error(err)
		return
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	for ctx.Err() == nil {
		a := daybook.Append{ID: daybook.NewID()}
		streams := []string{fmt.Sprint("writer-", writer)}
		if random.IntN(3) == 0 {
			streams = append(streams, "shared-1")
		}
		records := 0
		for _, name := range streams {
			events := make([]daybook.Event, 1+random.IntN(4))
			for i := range events {
				events[i] = daybook.Event{Type: "written", Data: fmt.Appendf(nil, `{"n":%d,"pad":"%0*d"}`, i, 1+random.IntN(800), i)}
			}
			a.Changesets = append(a.Changesets, daybook.Changeset{Stream: daybook.Stream(name), Events: events})
			records += len(events)
		}
		book.send(a.ID, records)
		receipt, err := store.AppendAll(ctx, a)
		if err == nil {
			book.acknowledge(receipt)
			continue
		}
		if errors.Is(err, daybook.ErrFull) {
			book.refuse(a.ID)
			_ = pause(ctx, 10*time.Millisecond)
			continue
		}
		var gone *remote.UnreachableError
		if !errors.As(err, &gone) && ctx.Err() == nil {
			t.Errorf("append: %v, and the server was not gone", err)
		}
		book.lose(a)
		return
	}
}

// check opens what the server left behind, and compares it with the ledger.
func check(t *testing.T, dir string, book *ledger) {
	t.Helper()
	driver, err := disk.Open(dir, nil) // for writing: it recovers
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	report, err := verify.Store(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("verify: %s", finding)
	}
	stored := map[daybook.ID]int{}
	places := map[daybook.ID][]daybook.Position{}
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		stored[record.Changeset.AppendID]++
		places[record.Changeset.AppendID] = append(places[record.Changeset.AppendID], record.Position)
	}
	for id, n := range stored {
		if sent, known := book.sent[id]; !known || n != sent {
			t.Errorf("append %s has %d records in the store, and was sent with %d: doubled, halved or invented", id, n, sent)
		}
	}
	for id, receipt := range book.acknowledged {
		if stored[id] == 0 {
			t.Errorf("append %s was acknowledged at position %d, and is lost", id, receipt.Position())
			continue
		}
		if last := places[id][len(places[id])-1]; last != receipt.Position() {
			t.Errorf("append %s was acknowledged at position %d, and ends at %d", id, receipt.Position(), last)
		}
	}
	t.Logf("%d appends acknowledged, %d stored, %d sent", len(book.acknowledged), len(stored), len(book.sent))
}
