package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/remote"
)

// TestTheLastItemsAreSoldOnce lets a crowd in two shops on one server fight for
// three lamps, each sending everything twice.
func TestTheLastItemsAreSoldOnce(t *testing.T) {
	const shoppers, lamps = 24, 3
	clock := daytest.NewClock(time.Time{})
	store := openStore(t, clock)
	server := httptest.NewServer(httpapi.New(store, nil))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	var shops [2]customer
	for i := range shops {
		driver, err := remote.Open(server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		own := daybook.New(driver, nil)
		t.Cleanup(func() { _ = own.Close() })
		shops[i] = customer{t, serveShop(t, own, clock)}
	}
	shops[0].list("lamp", strconv.Itoa(lamps))

	var bought, refused atomic.Int64
	var group sync.WaitGroup
	for i := range shoppers {
		group.Go(func() {
			shop, key := shops[i%len(shops)], fmt.Sprint("shopper ", i)
			basket := "/baskets/" + shop.ask(key, "POST", "/baskets", "").Basket
			switch put := shop.patient(key, "PUT", basket+"/items/lamp", `{"quantity":1}`); put.Error {
			case "OUT_OF_STOCK":
				refused.Add(1)
				return
			case "":
			default:
				t.Errorf("shopper %d puts a lamp in: %d %s", i, put.status, put.Message)
				return
			}
			var at sync.WaitGroup
			var orders [2]reply
			for n := range orders { // the same request, twice at once
				at.Go(func() { orders[n] = shop.patient(key, "POST", basket+"/checkout", "") })
			}
			at.Wait()
			if orders[0].status != 201 || orders[1].status != 201 || orders[0].Order != orders[1].Order {
				t.Errorf("shopper %d is answered with %+v and %+v", i, orders[0], orders[1])
			}
			bought.Add(1)
		})
	}
	group.Wait()
	if bought.Load() != lamps || refused.Load() != shoppers-lamps {
		t.Errorf("%d bought a lamp and %d did not; there were %d lamps and %d shoppers", bought.Load(), refused.Load(), lamps, shoppers)
	}
	checkBooks(t, store)
}

// patient is ask, until the shop is not busy.
func (c customer) patient(key, method, path, body string) reply {
	for {
		answer := c.ask(key, method, path, body)
		if answer.Error != "BUSY" {
			return answer
		}
	}
}

// TestNothingIsEverOversold lets shoppers do anything at all, while time passes,
// and adds up afterwards what they have left in the log.
func TestNothingIsEverOversold(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	shop, store, clock := newCustomer(t)
	products := []string{"lamp", "chair", "table"}
	for _, product := range products {
		shop.list(product, "4")
	}
	var group sync.WaitGroup
	var sold, lapsed atomic.Int64
	for i := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			basket := shop.begin()
			for range 60 {
				product := products[random.IntN(len(products))]
				item := basket + "/items/" + product
				var answer reply
				switch random.IntN(8) {
				case 0:
					clock.Advance(time.Duration(random.IntN(int(20 * time.Minute))))
				case 1:
					answer = shop.patient("", "DELETE", item, "")
				case 2:
					answer = shop.patient("", "POST", "/products/"+product+"/stock", `{"quantity":1}`)
				case 3, 4:
					if answer = shop.patient("", "POST", basket+"/checkout", ""); answer.status == 201 {
						sold.Add(1)
						basket = shop.begin()
					}
					if answer.Error == "RESERVATION_ENDED" {
						lapsed.Add(1)
					}
				default:
					answer = shop.patient("", "PUT", item, fmt.Sprintf(`{"quantity":%d}`, 1+random.IntN(3)))
				}
				if answer.status >= 500 || answer.status == 404 || answer.status == 400 {
					t.Errorf("shopper %d is answered with %d %s: %s", i, answer.status, answer.Error, answer.Message)
				}
			}
		})
	}
	group.Wait()
	if sold.Load() == 0 {
		t.Error("nobody bought anything, so that nothing was shown")
	}
	t.Logf("%d baskets were checked out, %d had waited too long", sold.Load(), lapsed.Load())
	checkBooks(t, store)
}

// checkBooks reads the log: no product was ever promised or sold twice, and
// what was ordered is what was sold.
func checkBooks(t *testing.T, store *daybook.Store) {
	t.Helper()
	stock, sold, ordered := map[string]Product{}, map[string]int{}, map[string]int{}
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"product", "order"}}}) {
		if err != nil {
			t.Fatal(err)
		}
		if record.Stream.Type() == "order" {
			placed, err := orderEvents.Decode(&record)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range placed[0].(Placed).Lines {
				ordered[line.Product] += line.Quantity
			}
			continue
		}
		events, err := productEvents.Decode(&record)
		if err != nil {
			t.Fatal(err)
		}
		id := record.Stream.Key()
		product, known := stock[id]
		if !known {
			product = products.Initial()
		}
		product = evolveProduct(product, events[0])
		stock[id] = product
		switch e := events[0].(type) {
		case Sold:
			sold[id] += e.Quantity
		case Held:
			if held := product.heldAt(e.Until.Add(-holdFor), ""); held > product.Stock {
				t.Errorf("version %d of %s: %d are held, %d are there", record.Version, id, held, product.Stock)
			}
		}
		if product.Stock < 0 {
			t.Errorf("version %d of %s: %d are there", record.Version, id, product.Stock)
		}
	}
	if fmt.Sprint(sold) != fmt.Sprint(ordered) {
		t.Errorf("sold were %v, ordered %v", sold, ordered)
	}
}

// TestTheShopComesToTheSameUnderAllFaults has each request sent until it is
// answered, while the shop crashes and answers of the store get lost.
func TestTheShopComesToTheSameUnderAllFaults(t *testing.T) {
	requests := []string{"list", "stock", "begin", "put", "take", "put again", "check out"}
	path := "POST /baskets"
	basket := Request{Key: "begin", Path: path}.id().String()
	daytest.Check(t, func() daytest.Subject[string] {
		clock := daytest.NewClock(time.Time{})
		return daytest.Subject[string]{
			Driver: func() daybook.Driver { return memory.New(&memory.Options{Now: clock.Now}) },
			Start: func(_ context.Context, store *daybook.Store) (func(context.Context, string) error, error) {
				shop, err := newShop(store, clock.Now, aggregate.Retry{})
				return func(ctx context.Context, request string) error {
					by := Request{Key: request, Path: path}
					var err error
					switch request {
					case "list":
						_, err = shop.List(ctx, by, "lamp", "Lamp", 100)
					case "stock":
						_, err = shop.Stock(ctx, by, "lamp", 3)
					case "begin":
						_, err = shop.Begin(ctx, by)
					case "take":
						err = shop.Take(ctx, by, basket, "lamp")
					case "check out":
						err = shop.CheckOut(ctx, by, basket)
					default:
						err = shop.Put(ctx, by, basket, "lamp", 2)
					}
					return err
				}, err
			},
		}
	}, requests, nil)
}
