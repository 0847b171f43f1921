package aggregate_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

// The bank of the tests: accounts that cannot be overdrawn.

type event interface{ event() }

type opened struct{ IBAN string }
type deposited struct{ Amount int }
type withdrawn struct{ Amount int }
type stranger struct{}
type linked struct{ To string }
type renumbered struct{ From, To string }

func (opened) event()     {}
func (deposited) event()  {}
func (withdrawn) event()  {}
func (linked) event()     {}
func (stranger) event()   {}
func (renumbered) event() {}

func (e opened) Claims() []daybook.Claim       { return []daybook.Claim{{Kind: "iban", Value: e.IBAN}} }
func (e renumbered) Claims() []daybook.Claim   { return []daybook.Claim{{Kind: "iban", Value: e.To}} }
func (e renumbered) Releases() []daybook.Claim { return []daybook.Claim{{Kind: "iban", Value: e.From}} }
func (e linked) Requires() []daybook.StreamID {
	return []daybook.StreamID{daybook.Stream("account-" + e.To)}
}

type account struct {
	IBAN    string
	Balance int
	Seen    map[string]int // what was counted by Evolve, so that a map is in it
}

var events = codec.Must(codec.New[event](
	codec.Event[opened]("opened"), codec.Event[deposited]("deposited"), codec.Event[withdrawn]("withdrawn"),
	codec.Event[linked]("linked"), codec.Event[renumbered]("renumbered"),
))

type command func(a account) ([]event, error)

var errFunds = errors.New("not enough money")

func deposit(n int) command {
	return func(account) ([]event, error) { return []event{deposited{n}}, nil }
}

func withdraw(n int) command {
	return func(a account) ([]event, error) {
		if a.Balance < n {
			return nil, errFunds
		}
		return []event{withdrawn{n}}, nil
	}
}

func emit(list ...event) command { return func(account) ([]event, error) { return list, nil } }

func evolve(a account, e event) account {
	switch e := e.(type) {
	case opened:
		a.IBAN = e.IBAN
	case renumbered:
		a.IBAN = e.To
	case deposited:
		if e.Amount == 666 {
			panic("the fold cannot take 666")
		}
		a.Balance += e.Amount
	case withdrawn:
		a.Balance -= e.Amount
	}
	return a
}

var decider = aggregate.Decider[account, command, event]{
	Decide: func(a account, c command) ([]event, error) { return c(a) },
	Evolve: evolve,
}

type (
	accounts = aggregate.Repository[account, command, event]
	options  = aggregate.Options[account, event]
	savings  = aggregate.Snapshots[account, event]
)

// counting is a driver that counts the records that are read from streams, by
// their type.
type counting struct {
	daybook.Driver
	read    atomic.Int64 // of accounts
	appends atomic.Int64
}

func (d *counting) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		for record, err := range d.Driver.ReadStream(ctx, id, read) {
			if err == nil && id.Type() == "account" {
				d.read.Add(1)
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

func (d *counting) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	d.appends.Add(1)
	return d.Driver.Append(ctx, a)
}

// Head and DeleteStream are those of the driver inside, which Store looks for.
func (d *counting) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	return d.Driver.(daybook.HeadReader).Head(ctx, id)
}

func (d *counting) DeleteStream(ctx context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	return d.Driver.(daybook.Deleter).DeleteStream(ctx, deletion)
}

// clock is a clock in the hand of a test.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(1_000_000 + c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(d.Microseconds()) }

// bank is a store with its accounts.
type bank struct {
	*accounts
	t      *testing.T
	store  *daybook.Store
	driver *counting
	clock  *clock
}

func newBank(t *testing.T, with *options) *bank {
	t.Helper()
	b := &bank{t: t, clock: &clock{}}
	b.driver = &counting{Driver: memory.New(&memory.Options{Now: b.clock.now})}
	b.store = daybook.New(b.driver, nil)
	t.Cleanup(func() { _ = b.store.Close() })
	b.accounts = b.again(with)
	return b
}

// again returns another repository on the same store.
func (b *bank) again(with *options) *accounts {
	b.t.Helper()
	if with == nil {
		with = &options{}
	}
	if with.Now == nil {
		with.Now = b.clock.now
	}
	repository, err := aggregate.New(b.store, "account", events, decider, with)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = repository.Close(context.Background()) })
	return repository
}

// do executes a command that must succeed.
func (b *bank) do(id string, c command) aggregate.Result[account, event] {
	b.t.Helper()
	result, err := b.Execute(b.t.Context(), id, c, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

func (b *bank) balance(id string) int {
	b.t.Helper()
	at, err := b.Load(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return at.State.Balance
}

// fill adds so many deposits of 1 to an account, without the repository.
func (b *bank) fill(id string, n int) {
	b.t.Helper()
	for n > 0 {
		list := make([]daybook.Event, min(n, 1000))
		for i := range list {
			list[i] = daybook.Event{Type: "deposited", Data: []byte(`{"Amount":1}`)}
		}
		if _, err := b.store.Append(b.t.Context(), b.Stream(id), daybook.ExpectAny(), list...); err != nil {
			b.t.Fatal(err)
		}
		n -= len(list)
	}
}

// version returns how many records a stream has.
func (b *bank) version(stream daybook.StreamID) daybook.Version {
	b.t.Helper()
	head, err := b.store.Head(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return head.Version
}
