package main

import (
	"errors"
	"time"

	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
)

// What happens to an order.
type (
	OrderEvent interface{ orderEvent() }
	Placed     struct {
		At    time.Time
		Lines []Line
	}
)

func (Placed) orderEvent() {}

var orderEvents = codec.Must(codec.New[OrderEvent](codec.Event[Placed]("order-placed")))

// Order is what was bought. It has the id of its basket.
type Order struct {
	PlacedAt time.Time
	Lines    []Line
}

// Line is so many of one product.
type Line struct {
	Product    string
	Name       string
	Quantity   int
	PriceCents int // of one
}

// OrderCommand is what can be asked of an order.
type OrderCommand func(o Order) ([]OrderEvent, error)

var errNoSuchOrder = errors.New("there is no such order")

// place places what is in a basket. Nobody else does, since the basket is
// checked out in the same transaction.
func place(items []Item, at time.Time) OrderCommand {
	return func(Order) ([]OrderEvent, error) {
		placed := Placed{At: at}
		for _, item := range items {
			placed.Lines = append(placed.Lines, Line{item.Product, item.Name, item.Quantity, item.PriceCents})
		}
		return []OrderEvent{placed}, nil
	}
}

var orders = aggregate.Decider[Order, OrderCommand, OrderEvent]{
	Decide: func(o Order, command OrderCommand) ([]OrderEvent, error) { return command(o) },
	Evolve: func(_ Order, event OrderEvent) Order {
		placed := event.(Placed)
		return Order{PlacedAt: placed.At, Lines: placed.Lines}
	},
}
