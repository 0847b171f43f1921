package daytest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
)

// The live bank: one live state of all accounts. Its events say whose they are.
type (
	booking interface{ booking() }
	paidIn  struct {
		Account string
		Amount  int
	}
	paidOut struct {
		Account string
		Amount  int
	}
)

func (paidIn) booking()  {}
func (paidOut) booking() {}

var bookings = codec.Must(codec.New[booking](codec.Event[paidIn]("paid-in"), codec.Event[paidOut]("paid-out")))

func book(balances map[string]int, e booking) map[string]int {
	switch e := e.(type) {
	case paidIn:
		balances[e.Account] += e.Amount
	case paidOut:
		balances[e.Account] -= e.Amount
	}
	return balances
}

// bank is a program on a live state; its fields are what may be wrong with it.
type bank struct {
	ofLog    bool
	nameless bool // gives its appends no id
	early    bool // decides before it appends, on what is here
	inside   bool // counts, outside of the store, in the builder
	lossy    bool // saves snapshots that lose the state
	deaf     bool // hears of what others store only when it asks

	outside *outside
}

// outside is what stands outside of the store, and outlives the program.
type outside struct {
	mu      sync.Mutex // guards all below
	counted int
	answers map[string]string // the last one to each input
}

// answer keeps what a program says of an input: that must never change.
func (o *outside) answer(id, answer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers[id] = answer
}

// again returns the same program, with nothing outside.
func (b bank) again() *bank { b.outside = &outside{answers: map[string]string{}}; return &b }

var ledger = daybook.Stream("ledger")

func (b *bank) stream(account string) daybook.StreamID {
	if b.ofLog {
		return daybook.Stream("ledger-" + account)
	}
	return ledger
}

func (b *bank) fold() *livestate.Fold[map[string]int, booking] {
	o := &livestate.FoldOptions[map[string]int]{Clone: maps.Clone[map[string]int]}
	if b.lossy {
		o.Encoding = lossy{}
	}
	return livestate.NewFold("balances-1", func() map[string]int { return map[string]int{} }, book, o)
}

// deaf is a driver that wakes nobody.
type deaf struct{ *memory.Driver }

func (deaf) Wait(ctx context.Context, _ daybook.Position) error {
	<-ctx.Done()
	return ctx.Err()
}

// lossy is an encoding that forgets.
type lossy struct{ codec.JSON }

func (lossy) Encode(any) ([]byte, error) { return []byte("{}"), nil }

func (b *bank) source() livestate.Source {
	if b.ofLog {
		return livestate.OfLog(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: bookings.Names()}}}})
	}
	return livestate.OfStream(ledger)
}

func (b *bank) subject() daytest.Subject[transfer] {
	snapshots, fold := livestate.Memory(2), b.fold()
	return daytest.Subject[transfer]{
		Driver: func() daybook.Driver {
			if b.deaf {
				return deaf{memory.New(nil)}
			}
			return memory.New(nil)
		},
		Given: func(ctx context.Context, store *daybook.Store) error {
			for _, account := range []string{"account-1", "account-2"} {
				changeset, err := bookings.Changeset(b.stream(account), daybook.ExpectAny(), paidIn{account, 100})
				if err == nil {
					_, err = store.AppendAll(ctx, daybook.Append{Changesets: []daybook.Changeset{changeset}})
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
		Lane: func(c transfer) string { return c.Account },
		Start: func(ctx context.Context, store *daybook.Store) (func(context.Context, transfer) error, error) {
			service, err := livestate.Start(store, b.source(), bookings, []livestate.Folder[booking]{fold}, &livestate.Options[booking]{
				StreamOf:  func(e booking) daybook.StreamID { return b.stream(e.(paidOut).Account) },
				Snapshots: snapshots, SaveEvery: 2, Group: 2,
				Retry: livestate.Retry{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }},
			})
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, service.Close)
			return func(ctx context.Context, c transfer) error { return b.pay(ctx, service, fold, c) }, service.Ready(ctx)
		},
		Outcome: func(ctx context.Context, store *daybook.Store) (any, error) {
			contents, err := daytest.Contents(ctx, store)
			for _, lines := range contents {
				slices.Sort(lines) // the lanes may share a stream
			}
			return fmt.Sprint(contents, b.outside.counted, b.outside.answers), err
		},
	}
}

// pay carries out a transfer.
func (b *bank) pay(ctx context.Context, service *livestate.Service[booking], fold *livestate.Fold[map[string]int, booking], c transfer) error {
	by := &livestate.AppendOptions{ID: daybook.IDOf(c.ID)}
	if b.nameless {
		by = nil
	}
	if b.early {
		state, err := service.Local()
		if err != nil || fold.Of(state)[c.Account] < c.Amount {
			return err
		}
		_, err = service.Add(ctx, by, paidOut{c.Account, c.Amount})
		return err
	}
	done, err := livestate.Append(ctx, service, func(state *livestate.State) ([]booking, struct{}, error) {
		if b.inside {
			b.outside.mu.Lock()
			b.outside.counted++
			b.outside.mu.Unlock()
		}
		if fold.Of(state)[c.Account] < c.Amount {
			return nil, struct{}{}, nil
		}
		return []booking{paidOut{c.Account, c.Amount}}, struct{}{}, nil
	}, by)
	switch {
	case err != nil:
	case len(done.Receipt.Changesets) == 0:
		b.outside.answer(c.ID, "refused")
	default:
		b.outside.answer(c.ID, "paid")
	}
	return err
}

// spending is what the checked banks are asked for: more than there is.
var spending = []transfer{
	{"t1", "account-1", 60}, {"t2", "account-2", 10}, {"t3", "account-1", 60}, {"t4", "account-2", 95}, {"t5", "account-1", 30}, {"t6", "account-2", 80},
}

func TestALiveStateHoldsUnderAllFaults(t *testing.T) {
	for name, program := range map[string]bank{
		"of a stream": {}, "of the log": {ofLog: true}, "of a stream, deaf": {deaf: true}, "of the log, deaf": {ofLog: true, deaf: true},
	} {
		t.Run(name, func(t *testing.T) {
			daytest.Check(t, func() daytest.Subject[transfer] { return program.again().subject() }, spending, nil)
		})
	}
}

func TestCheckSaysWhatIsWrongWithAProgramOnALiveState(t *testing.T) {
	for name, test := range map[string]struct {
		program bank
		faults  []daytest.Fault
	}{
		"without ids":                 {bank{nameless: true}, []daytest.Fault{daytest.CrashAfter, daytest.Duplicate, daytest.DuplicateLate, daytest.AtOnce}},
		"that decides too early":      {bank{early: true, deaf: true}, []daytest.Fault{daytest.TurnAbout}},
		"that counts in its builder":  {bank{inside: true}, []daytest.Fault{daytest.Conflict}},
		"that saves lossy snapshots":  {bank{lossy: true}, []daytest.Fault{daytest.CrashBefore, daytest.CrashAfter}},
		"of the log, without ids":     {bank{ofLog: true, nameless: true}, []daytest.Fault{daytest.CrashAfter, daytest.Duplicate}},
		"of the log, lossy snapshots": {bank{ofLog: true, lossy: true}, []daytest.Fault{daytest.CrashBefore}},
	} {
		for _, fault := range test.faults {
			t.Run(name+"/"+string(fault), func(t *testing.T) {
				r := watch(t, func(r *recorder) {
					daytest.Check(r, func() daytest.Subject[transfer] { return test.program.again().subject() }, spending,
						&daytest.CheckOptions{Faults: []daytest.Fault{fault}, Runs: -1})
				})
				r.says(t, string(fault))
			})
		}
	}
}
