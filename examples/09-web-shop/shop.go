package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
)

const (
	holdFor     = time.Hour // how long an item in a basket is kept
	maxQuantity = 1_000     // of one product in a basket
	maxStock    = 1_000_000 // of one product
	maxItems    = 50        // products in a basket
	maxPrice    = 100_000_000
	maxName     = 200 // bytes
	maxKey      = 200 // bytes
)

var (
	errInvalid   = errors.New("invalid")
	errKeyReused = errors.New("the Idempotency-Key was used before, for a request with another body")
)

// Shop is what can be done in the shop. Any number of them may run on one
// store.
type Shop struct {
	store    *daybook.Store
	products *aggregate.Repository[Product, ProductCommand, ProductEvent]
	baskets  *aggregate.Repository[Basket, BasketCommand, BasketEvent]
	orders   *aggregate.Repository[Order, OrderCommand, OrderEvent]
	now      func() time.Time
	retry    aggregate.Retry
}

// newShop returns a shop on a store. Retry says how often it tries where others
// are quicker.
func newShop(store *daybook.Store, now func() time.Time, retry aggregate.Retry) (*Shop, error) {
	s := &Shop{store: store, now: now, retry: retry}
	var errs [3]error
	// A product that many want has a long history.
	s.products, errs[0] = aggregate.New(store, "product", productEvents, products, &aggregate.Options[Product, ProductEvent]{
		Cache: 1000, Retry: retry, Snapshots: &aggregate.Snapshots[Product, ProductEvent]{Name: "v1", Policy: aggregate.Every(100)},
	})
	s.baskets, errs[1] = aggregate.New(store, "basket", basketEvents, baskets, &aggregate.Options[Basket, BasketEvent]{Cache: 1000, Retry: retry})
	s.orders, errs[2] = aggregate.New(store, "order", orderEvents, orders, nil)
	return s, errors.Join(errs[:]...)
}

// Close waits until the snapshots are written.
func (s *Shop) Close(ctx context.Context) error { return s.products.Close(ctx) }

// Request is what asks for a command.
type Request struct {
	Key  string // of the header Idempotency-Key: sent again, it is carried out once; "" for none
	Path string // "PUT /products/lamp"
	Body any
}

// metadata is the request as it is recorded beside its events.
func (r Request) metadata() []byte {
	recorded, err := json.Marshal(struct {
		Key  string `json:"idempotency_key,omitempty"`
		Path string `json:"request"`
		Body any    `json:"body,omitempty"`
	}{r.Key, r.Path, r.Body})
	if err != nil {
		panic(err) // texts and numbers
	}
	return recorded
}

// id is that of the command. A key counts for the path that it came with.
func (r Request) id() daybook.ID {
	if r.Key == "" {
		return daybook.NewID()
	}
	return daybook.IDOf(r.Path + " " + r.Key)
}

func (r Request) options() aggregate.CommandOptions {
	return aggregate.CommandOptions{ID: r.id(), Metadata: r.metadata()}
}

// List lists a product that was not there before.
func (s *Shop) List(ctx context.Context, by Request, product, name string, priceCents int) (Product, error) {
	switch {
	case !productID.MatchString(product):
		return Product{}, fmt.Errorf("%w: product: must be 1 to 64 small letters, digits and \"-\", not first (it is %q)", errInvalid, product)
	case name == "" || len(name) > maxName:
		return Product{}, fmt.Errorf("%w: name: must have 1 to %d bytes (it has %d)", errInvalid, maxName, len(name))
	case priceCents < 0 || priceCents > maxPrice:
		return Product{}, fmt.Errorf("%w: price_cents: must be from 0 to %d (it is %d)", errInvalid, maxPrice, priceCents)
	}
	return s.change(ctx, by, product, list(name, priceCents))
}

var productID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Stock brings more of a product into the shop.
func (s *Shop) Stock(ctx context.Context, by Request, product string, quantity int) (Product, error) {
	if quantity < 1 || quantity > maxStock {
		return Product{}, fmt.Errorf("%w: quantity: must be from 1 to %d (it is %d)", errInvalid, maxStock, quantity)
	}
	return s.change(ctx, by, product, stock(quantity))
}

// change runs a command on a product alone.
func (s *Shop) change(ctx context.Context, by Request, product string, command ProductCommand) (Product, error) {
	options := by.options()
	done, err := s.products.Execute(ctx, product, command, &options)
	if err == nil {
		err = s.checkRepeat(ctx, by, done.Receipt)
	}
	return done.State, err
}

// Begin begins a basket and returns its id, which follows from the key of the
// request.
func (s *Shop) Begin(ctx context.Context, by Request) (string, error) {
	options := by.options()
	basket := options.ID.String()
	_, err := s.baskets.Execute(ctx, basket, begin, &options)
	return basket, err
}

// Put puts so many of a product into a basket, in place of those that are there,
// and keeps them in stock for it, an hour from now: both or neither.
func (s *Shop) Put(ctx context.Context, by Request, basket, product string, quantity int) error {
	if quantity < 1 || quantity > maxQuantity {
		return fmt.Errorf("%w: quantity: must be from 1 to %d (it is %d)", errInvalid, maxQuantity, quantity)
	}
	now := s.time()
	until := now.Add(holdFor)
	return s.transact(ctx, by, func(ctx context.Context, tx *aggregate.Transaction) error {
		held, err := s.products.ExecuteIn(ctx, tx, product, hold(basket, quantity, now, until))
		if err != nil {
			return err
		}
		item := Item{product, held.State.Name, quantity, held.State.PriceCents, until}
		_, err = s.baskets.ExecuteIn(ctx, tx, basket, putIn(item))
		return err
	})
}

// Take takes a product out of a basket, and gives back what was kept for it.
func (s *Shop) Take(ctx context.Context, by Request, basket, product string) error {
	return s.transact(ctx, by, func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := s.baskets.ExecuteIn(ctx, tx, basket, takeOut(product)); err != nil {
			return err
		}
		_, err := s.products.ExecuteIn(ctx, tx, product, release(basket))
		return err
	})
}

// CheckOut sells what is in a basket: the basket is closed, the stock leaves the
// shop and the order is placed, all or nothing. The order has the id of the
// basket.
func (s *Shop) CheckOut(ctx context.Context, by Request, basket string) error {
	now := s.time()
	return s.transact(ctx, by, func(ctx context.Context, tx *aggregate.Transaction) error {
		closed, err := s.baskets.ExecuteIn(ctx, tx, basket, checkOut)
		if err != nil {
			return err
		}
		for _, item := range closed.State.Items {
			if _, err := s.products.ExecuteIn(ctx, tx, item.Product, sell(basket, item.Quantity, now)); err != nil {
				return err
			}
		}
		_, err = s.orders.ExecuteIn(ctx, tx, basket, place(closed.State.Items, now))
		return err
	})
}

// Product returns a product as it stands.
func (s *Shop) Product(ctx context.Context, id string) (Product, error) {
	at, err := s.products.Load(ctx, id)
	if err == nil && !at.Exists() {
		err = errNoSuchProduct
	}
	return at.State, err
}

// Basket returns a basket as it stands.
func (s *Shop) Basket(ctx context.Context, id string) (Basket, error) {
	at, err := s.baskets.Load(ctx, id)
	if err == nil && !at.Exists() {
		err = errNoSuchBasket
	}
	return at.State, err
}

// Order returns an order.
func (s *Shop) Order(ctx context.Context, id string) (Order, error) {
	at, err := s.orders.Load(ctx, id)
	if err == nil && !at.Exists() {
		err = errNoSuchOrder
	}
	return at.State, err
}

// transact runs commands as one append, once for each key.
func (s *Shop) transact(ctx context.Context, by Request, run func(ctx context.Context, tx *aggregate.Transaction) error) error {
	done, err := aggregate.Transact(ctx, s.store, run, &aggregate.TransactionOptions{CommandOptions: by.options(), Retry: s.retry})
	if err != nil {
		return err
	}
	return s.checkRepeat(ctx, by, done.Receipt)
}

// checkRepeat sees to it that a repeat asks for what was carried out.
func (s *Shop) checkRepeat(ctx context.Context, by Request, receipt daybook.Receipt) error {
	if !receipt.Repeated {
		return nil
	}
	first := receipt.Changesets[0]
	for record, err := range s.store.ReadStream(ctx, first.Stream, daybook.StreamRead{From: first.First, Limit: 1}) {
		if err != nil {
			return err
		}
		if string(record.Changeset.Metadata) != string(by.metadata()) {
			return errKeyReused
		}
	}
	return nil
}

// time is now, as events keep it.
func (s *Shop) time() time.Time { return daybook.Microseconds(s.now()) }
