package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
)

// What happens to a product.
type (
	ProductEvent interface{ productEvent() }
	Listed       struct {
		Name       string
		PriceCents int
	}
	Stocked struct{ Quantity int }
	// Held keeps some of the stock for a basket until a time, in place of what
	// was kept for it before.
	Held struct {
		Basket   string
		Quantity int
		Until    time.Time
	}
	// Released ends a hold since the customer took the item out of the basket,
	// Lapsed since its time was over and somebody else asked, Sold since it was
	// bought, and left the stock.
	Released struct{ Basket string }
	Lapsed   struct{ Basket string }
	Sold     struct {
		Basket   string
		Quantity int
	}
)

func (Listed) productEvent()   {}
func (Stocked) productEvent()  {}
func (Held) productEvent()     {}
func (Released) productEvent() {}
func (Lapsed) productEvent()   {}
func (Sold) productEvent()     {}

var productEvents = codec.Must(codec.New[ProductEvent](
	codec.Event[Listed]("product-listed"), codec.Event[Stocked]("product-stocked"), codec.Event[Held]("product-held"),
	codec.Event[Released]("product-released"), codec.Event[Lapsed]("product-lapsed"), codec.Event[Sold]("product-sold"),
))

// Product is what has become of it.
type Product struct {
	Name       string
	PriceCents int
	Stock      int             // what is in the shop, held or not
	Holds      map[string]Hold // by basket
}

// Hold is what is kept for a basket: it counts until its time is over, whether
// or not anybody has taken note of that.
type Hold struct {
	Quantity int
	Until    time.Time
}

// heldAt returns how much is kept for baskets at a time, but for one of them.
func (p Product) heldAt(now time.Time, butFor string) int {
	held := 0
	for basket, hold := range p.Holds {
		if basket != butFor && now.Before(hold.Until) {
			held += hold.Quantity
		}
	}
	return held
}

// ProductCommand is what can be asked of a product.
type ProductCommand func(p Product) ([]ProductEvent, error)

var (
	errListedOtherwise = errors.New("the product is listed otherwise")
	errNoSuchProduct   = errors.New("there is no such product")
	errOutOfStock      = errors.New("out of stock")
	errLapsed          = errors.New("the reservation has ended")
)

func list(name string, priceCents int) ProductCommand {
	return func(p Product) ([]ProductEvent, error) {
		switch {
		case p.Name == "":
			return []ProductEvent{Listed{name, priceCents}}, nil
		case p.Name == name && p.PriceCents == priceCents:
			return nil, nil
		}
		return nil, fmt.Errorf("%w: as %q at %d cents", errListedOtherwise, p.Name, p.PriceCents)
	}
}

func stock(quantity int) ProductCommand {
	return func(p Product) ([]ProductEvent, error) {
		switch {
		case p.Name == "":
			return nil, errNoSuchProduct
		case p.Stock+quantity > maxStock:
			return nil, fmt.Errorf("%w: quantity: with the %d in stock it must not be above %d (it is %d)", errInvalid, p.Stock, maxStock, quantity)
		}
		return []ProductEvent{Stocked{quantity}}, nil
	}
}

// hold keeps stock for a basket. Holds whose time is over make room, and that
// is recorded here: no clock has to run for it.
func hold(basket string, quantity int, now, until time.Time) ProductCommand {
	return func(p Product) ([]ProductEvent, error) {
		if p.Name == "" {
			return nil, errNoSuchProduct
		}
		if free := p.Stock - p.heldAt(now, basket); free < quantity {
			return nil, fmt.Errorf("%w: %d of %q asked for, %d available", errOutOfStock, quantity, p.Name, free)
		}
		var events []ProductEvent
		for _, other := range slices.Sorted(maps.Keys(p.Holds)) {
			if other != basket && !now.Before(p.Holds[other].Until) {
				events = append(events, Lapsed{other})
			}
		}
		return append(events, Held{basket, quantity, until}), nil
	}
}

func release(basket string) ProductCommand {
	return func(p Product) ([]ProductEvent, error) {
		if _, held := p.Holds[basket]; !held {
			return nil, nil
		}
		return []ProductEvent{Released{basket}}, nil
	}
}

// sell hands over what is kept for a basket.
func sell(basket string, quantity int, now time.Time) ProductCommand {
	return func(p Product) ([]ProductEvent, error) {
		if kept, held := p.Holds[basket]; !held || kept.Quantity != quantity || !now.Before(kept.Until) {
			return nil, fmt.Errorf("%w: %q is not kept for this basket any more; put it in again", errLapsed, p.Name)
		}
		return []ProductEvent{Sold{basket, quantity}}, nil
	}
}

// products decides on products. The holds are copied by Clone, so that evolve
// may change them.
var products = aggregate.Decider[Product, ProductCommand, ProductEvent]{
	Initial: func() Product { return Product{Holds: map[string]Hold{}} },
	Decide:  func(p Product, command ProductCommand) ([]ProductEvent, error) { return command(p) },
	Evolve:  evolveProduct,
	Clone:   func(p Product) Product { p.Holds = maps.Clone(p.Holds); return p },
}

func evolveProduct(p Product, event ProductEvent) Product {
	switch e := event.(type) {
	case Listed:
		p.Name, p.PriceCents = e.Name, e.PriceCents
	case Stocked:
		p.Stock += e.Quantity
	case Held:
		p.Holds[e.Basket] = Hold{e.Quantity, e.Until}
	case Released:
		delete(p.Holds, e.Basket)
	case Lapsed:
		delete(p.Holds, e.Basket)
	case Sold:
		delete(p.Holds, e.Basket)
		p.Stock -= e.Quantity
	}
	return p
}
