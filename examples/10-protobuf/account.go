package main

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
)

//go:generate go -C ../../tools run ./protogo ../examples/10-protobuf account.proto

// Event is what happens to an account: one of the messages of account.proto,
// which are used by pointer.
type Event interface {
	proto.Message
	accountEvent()
}

func (*Opened) accountEvent()    {}
func (*Deposited) accountEvent() {}
func (*Withdrawn) accountEvent() {}

// events writes protobuf. It also reads JSON, which the first release wrote.
var events = codec.Must(codec.New[Event](
	codec.Event[*Opened]("opened"), codec.Event[*Deposited]("deposited"), codec.Event[*Withdrawn]("withdrawn"),
	&codec.Options{Encoding: Protobuf{}, Also: []codec.Encoding{ProtoJSON{}}},
))

// Command is what can be asked of an account.
type Command func(a *Account) ([]Event, error)

var errFunds = errors.New("not enough money")

func deposit(deposited *Deposited) Command {
	return func(a *Account) ([]Event, error) {
		if a.GetOwner() == "" {
			return nil, errors.New("there is no such account")
		}
		return []Event{deposited}, nil
	}
}

func withdraw(cents int64) Command {
	return func(a *Account) ([]Event, error) {
		if a.GetCents() < cents {
			return nil, fmt.Errorf("%w: %d of %d", errFunds, a.GetCents(), cents)
		}
		return []Event{&Withdrawn{Cents: cents}}, nil
	}
}

// accounts decides on accounts. A state is a message, and a message must not be
// copied but by proto.Clone; so it is cloned, and evolve changes it.
var accounts = aggregate.Decider[*Account, Command, Event]{
	Initial: func() *Account { return &Account{} },
	Decide:  func(a *Account, command Command) ([]Event, error) { return command(a) },
	Evolve:  evolve,
	Clone:   proto.CloneOf[*Account],
}

func evolve(a *Account, event Event) *Account {
	switch e := event.(type) {
	case *Opened:
		a.Owner, a.Currency = e.GetOwner(), e.GetCurrency()
	case *Deposited:
		a.Cents += e.GetCents()
	case *Withdrawn:
		a.Cents -= e.GetCents()
	}
	return a
}

// newAccounts returns all accounts of a store. Their snapshots are messages
// too.
func newAccounts(store *daybook.Store) (*aggregate.Repository[*Account, Command, Event], error) {
	return aggregate.New(store, "account", events, accounts, &aggregate.Options[*Account, Event]{
		Snapshots: &aggregate.Snapshots[*Account, Event]{Name: "v1", Policy: aggregate.Every(2), Encoding: Protobuf{}},
	})
}
