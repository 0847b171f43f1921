package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
)

// What happens to a basket.
type (
	BasketEvent interface{ basketEvent() }
	Begun       struct{}
	// PutIn sets how many of a product are in the basket, at the price of that
	// moment, and until when they are kept.
	PutIn      struct{ Item }
	TakenOut   struct{ Product string }
	CheckedOut struct{}
)

func (Begun) basketEvent()      {}
func (PutIn) basketEvent()      {}
func (TakenOut) basketEvent()   {}
func (CheckedOut) basketEvent() {}

var basketEvents = codec.Must(codec.New[BasketEvent](
	codec.Event[Begun]("basket-begun"), codec.Event[PutIn]("basket-put-in"),
	codec.Event[TakenOut]("basket-taken-out"), codec.Event[CheckedOut]("basket-checked-out"),
))

// Basket is what has become of it.
type Basket struct {
	Begun      bool
	CheckedOut bool
	Items      []Item // in the order in which they were put in
}

// Item is so many of one product in a basket.
type Item struct {
	Product    string
	Name       string
	Quantity   int
	PriceCents int // of one
	Until      time.Time
}

// BasketCommand is what can be asked of a basket.
type BasketCommand func(b Basket) ([]BasketEvent, error)

var (
	errNoSuchBasket = errors.New("there is no such basket")
	errCheckedOut   = errors.New("the basket is checked out; its order has the same id")
	errFull         = errors.New("the basket is full")
	errEmpty        = errors.New("the basket is empty")
)

func begin(b Basket) ([]BasketEvent, error) {
	if b.Begun {
		return nil, nil
	}
	return []BasketEvent{Begun{}}, nil
}

func putIn(item Item) BasketCommand {
	return func(b Basket) ([]BasketEvent, error) {
		if err := b.open(); err != nil {
			return nil, err
		}
		if b.find(item.Product) < 0 && len(b.Items) >= maxItems {
			return nil, fmt.Errorf("%w: it holds %d products", errFull, maxItems)
		}
		return []BasketEvent{PutIn{item}}, nil
	}
}

func takeOut(product string) BasketCommand {
	return func(b Basket) ([]BasketEvent, error) {
		if err := b.open(); err != nil {
			return nil, err
		}
		if b.find(product) < 0 {
			return nil, nil
		}
		return []BasketEvent{TakenOut{product}}, nil
	}
}

func checkOut(b Basket) ([]BasketEvent, error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	if len(b.Items) == 0 {
		return nil, errEmpty
	}
	return []BasketEvent{CheckedOut{}}, nil
}

// open returns why nothing can be changed any more.
func (b Basket) open() error {
	switch {
	case !b.Begun:
		return errNoSuchBasket
	case b.CheckedOut:
		return errCheckedOut
	}
	return nil
}

// find returns the place of a product in the basket; -1 where it is not there.
func (b Basket) find(product string) int {
	return slices.IndexFunc(b.Items, func(item Item) bool { return item.Product == product })
}

var baskets = aggregate.Decider[Basket, BasketCommand, BasketEvent]{
	Decide: func(b Basket, command BasketCommand) ([]BasketEvent, error) { return command(b) },
	Evolve: evolveBasket,
	Clone:  func(b Basket) Basket { b.Items = slices.Clone(b.Items); return b },
}

func evolveBasket(b Basket, event BasketEvent) Basket {
	switch e := event.(type) {
	case Begun:
		b.Begun = true
	case PutIn:
		if at := b.find(e.Product); at >= 0 {
			b.Items[at] = e.Item
		} else {
			b.Items = append(b.Items, e.Item)
		}
	case TakenOut:
		if at := b.find(e.Product); at >= 0 {
			b.Items = slices.Delete(b.Items, at, at+1)
		}
	case CheckedOut:
		b.CheckedOut = true
	}
	return b
}
