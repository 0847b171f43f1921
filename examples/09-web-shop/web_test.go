package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// newCustomer opens a shop in memory, on a clock in the test's hand.
func newCustomer(t *testing.T) (customer, *daybook.Store, *daytest.Clock) {
	t.Helper()
	clock := daytest.NewClock(time.Time{})
	store := openStore(t, clock)
	return customer{t, serveShop(t, store, clock)}, store, clock
}

func TestBadInputIsRefusedWithAReason(t *testing.T) {
	shop, store, _ := newCustomer(t)
	shop.list("lamp", "3")
	basket := shop.begin()
	before, _ := store.End(t.Context())
	for _, c := range []struct{ method, path, body, says string }{
		{"PUT", "/products/Lamp", `{"name":"x","price_cents":1}`, "product: must be 1 to 64 small letters"},
		{"PUT", "/products/-", `{"name":"x","price_cents":1}`, `it is "-"`},
		{"PUT", "/products/x", `{"price_cents":1}`, "name: must have 1 to 200 bytes (it has 0)"},
		{"PUT", "/products/x", `{"name":"` + strings.Repeat("x", 201) + `","price_cents":1}`, "it has 201"},
		{"PUT", "/products/x", `{"name":"x","price_cents":-1}`, "price_cents: must be from 0"},
		{"PUT", "/products/x", `{"name":"x","price_cents":1.5}`, "price_cents: must be a whole number (it is a number 1.5)"},
		{"PUT", "/products/x", `{"name":7,"price_cents":1}`, "name: must be a text (it is a number)"},
		{"PUT", "/products/x", `{"name":"x","prise":1}`, `unknown field "prise"`},
		{"PUT", "/products/x", ``, "is empty"},
		{"PUT", "/products/x", `[]`, "must be a JSON object"},
		{"PUT", "/products/x", `{"name":"x","price_cents":1} {}`, "something behind it"},
		{"PUT", "/products/x", `{"name":"x"`, "must be a JSON object"},
		{"POST", "/products/lamp/stock", `{"quantity":0}`, "quantity: must be from 1 to 1000000 (it is 0)"},
		{"POST", "/products/lamp/stock", `{"quantity":999998}`, "with the 3 in stock it must not be above 1000000"},
		{"POST", "/products/lamp/stock", `{"quantity":99999999999999999999}`, "quantity: must be a whole number"},
		{"PUT", basket + "/items/lamp", `{"quantity":-2}`, "quantity: must be from 1 to 1000 (it is -2)"},
		{"PUT", basket + "/items/lamp", `{"quantity":1001}`, "it is 1001"},
		{"PUT", basket + "/items/lamp", `{}`, "it is 0"},
		{"GET", "/baskets/" + strings.Repeat("x", 2000), ``, "2007 bytes"},
		{"GET", "/orders/%00", ``, "U+0000"},
	} {
		if got := shop.refused(400, "INVALID_INPUT", c.method, c.path, c.body); !strings.Contains(got.Message, c.says) {
			t.Errorf("%s %.60s %.60s: it says %q, want %q", c.method, c.path, c.body, got.Message, c.says)
		}
	}
	shop.refused(413, "TOO_LARGE", "PUT", "/products/x", `{"name":"`+strings.Repeat("x", maxBody)+`"}`)
	if got := shop.ask(strings.Repeat("k", 201), "POST", "/baskets", ""); got.status != 400 || !strings.Contains(got.Message, "it has 201") {
		t.Errorf("a long key is answered with %d %s", got.status, got.Message)
	}
	if after, _ := store.End(t.Context()); after != before {
		t.Errorf("what was refused left records: the log ends at %d, and ended at %d", after, before)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	shop, _, _ := newCustomer(t)
	shop.list("lamp", "3")
	basket := shop.begin()
	shop.refused(404, "NO_SUCH_PRODUCT", "GET", "/products/chair", "")
	shop.refused(404, "NO_SUCH_PRODUCT", "POST", "/products/chair/stock", `{"quantity":1}`)
	shop.refused(404, "NO_SUCH_PRODUCT", "PUT", basket+"/items/chair", `{"quantity":1}`)
	shop.refused(404, "NO_SUCH_BASKET", "GET", "/baskets/17", "")
	shop.refused(404, "NO_SUCH_BASKET", "PUT", "/baskets/17/items/lamp", `{"quantity":1}`)
	shop.refused(404, "NO_SUCH_BASKET", "DELETE", "/baskets/17/items/lamp", "")
	shop.refused(404, "NO_SUCH_BASKET", "POST", "/baskets/17/checkout", "")
	shop.refused(404, "NO_SUCH_ORDER", "GET", "/orders/17", "")
	shop.refused(404, "NOT_FOUND", "GET", "/customers", "")
	shop.refused(404, "NOT_FOUND", "GET", "//customers", "")
	if got := shop.refused(405, "METHOD_NOT_ALLOWED", "PATCH", "/products/lamp", ""); got.header.Get("Allow") != "GET, HEAD, PUT" {
		t.Errorf("Allow is %q", got.header.Get("Allow"))
	}
	if lamp := shop.must("GET", "/products/lamp", ""); lamp.Held != 0 {
		t.Errorf("something is held for a basket that is not there: %+v", lamp)
	}
}

func TestAProductIsListedOnceAsItIs(t *testing.T) {
	shop, store, _ := newCustomer(t)
	shop.list("lamp", "0")
	shop.list("lamp", "0")
	shop.refused(409, "LISTED_OTHERWISE", "PUT", "/products/lamp", `{"name":"A lamp","price_cents":999}`)
	if end, _ := store.End(t.Context()); end != 1 {
		t.Errorf("the log ends at %d, want 1", end)
	}
}

func TestAnItemIsKeptForAnHour(t *testing.T) {
	shop, _, clock := newCustomer(t)
	shop.list("lamp", "1")
	ann, bob := shop.begin(), shop.begin()
	shop.must("PUT", ann+"/items/lamp", `{"quantity":1}`)

	clock.Advance(time.Hour - time.Microsecond)
	shop.refused(409, "OUT_OF_STOCK", "PUT", bob+"/items/lamp", `{"quantity":1}`)
	if basket := shop.must("GET", ann, ""); !basket.Items[0].Held {
		t.Error("a moment before the hour is over the item is not held")
	}
	clock.Advance(time.Microsecond)
	if basket := shop.must("GET", ann, ""); basket.Items[0].Held {
		t.Error("when the hour is over the item is held")
	}
	shop.refused(409, "RESERVATION_ENDED", "POST", ann+"/checkout", "")
	shop.must("PUT", bob+"/items/lamp", `{"quantity":1}`)
	shop.refused(409, "RESERVATION_ENDED", "POST", ann+"/checkout", "")
	shop.refused(409, "OUT_OF_STOCK", "PUT", ann+"/items/lamp", `{"quantity":1}`)
	shop.must("POST", bob+"/checkout", "")
	if lamp := shop.must("GET", "/products/lamp", ""); lamp.Stock != 0 || lamp.Held != 0 {
		t.Errorf("in the end the product is %+v", lamp)
	}
}

func TestPuttingInAgainBeginsTheHourAnewAndReplacesTheQuantity(t *testing.T) {
	shop, _, clock := newCustomer(t)
	shop.list("lamp", "3")
	basket := shop.begin()
	shop.must("PUT", basket+"/items/lamp", `{"quantity":1}`)
	clock.Advance(30 * time.Minute)
	shop.must("PUT", basket+"/items/lamp", `{"quantity":3}`)
	if lamp := shop.must("GET", "/products/lamp", ""); lamp.Held != 3 || lamp.Available != 0 {
		t.Errorf("of three, three are wanted, and the product is %+v", lamp)
	}
	shop.must("PUT", basket+"/items/lamp", `{"quantity":2}`)
	clock.Advance(59 * time.Minute)
	if order := shop.must("POST", basket+"/checkout", ""); order.TotalCents != 2000 || len(order.Items) != 1 || order.Items[0].Quantity != 2 {
		t.Errorf("the order is %+v", order)
	}
}

func TestWhatIsTakenOutIsFreeAgain(t *testing.T) {
	shop, _, _ := newCustomer(t)
	shop.list("lamp", "1")
	ann, bob := shop.begin(), shop.begin()
	shop.must("PUT", ann+"/items/lamp", `{"quantity":1}`)
	shop.must("DELETE", ann+"/items/lamp", "")
	shop.must("DELETE", ann+"/items/lamp", "") // nothing is there: that is what was wanted
	shop.must("PUT", bob+"/items/lamp", `{"quantity":1}`)
	shop.refused(409, "BASKET_EMPTY", "POST", ann+"/checkout", "")
}

func TestABasketHoldsSoManyProducts(t *testing.T) {
	shop, _, _ := newCustomer(t)
	basket := shop.begin()
	for i := range maxItems + 1 {
		product := "p" + strings.Repeat("x", i)
		shop.list(product, "1")
		if i < maxItems {
			shop.must("PUT", basket+"/items/"+product, `{"quantity":1}`)
			continue
		}
		shop.refused(409, "BASKET_FULL", "PUT", basket+"/items/"+product, `{"quantity":1}`)
		if got := shop.must("GET", "/products/"+product, ""); got.Held != 0 {
			t.Errorf("what did not fit is held: %+v", got)
		}
	}
	if order := shop.must("POST", basket+"/checkout", ""); len(order.Items) != maxItems {
		t.Errorf("the order has %d lines", len(order.Items))
	}
}

func TestCheckOutIsAllOrNothing(t *testing.T) {
	shop, store, clock := newCustomer(t)
	shop.list("lamp", "1")
	shop.list("chair", "5")
	basket := shop.begin()
	shop.must("PUT", basket+"/items/lamp", `{"quantity":1}`)
	clock.Advance(30 * time.Minute)
	shop.must("PUT", basket+"/items/chair", `{"quantity":2}`)
	clock.Advance(30 * time.Minute) // the lamp is not kept any more, the chairs are
	before, _ := store.End(t.Context())

	refused := shop.refused(409, "RESERVATION_ENDED", "POST", basket+"/checkout", "")
	if !strings.Contains(refused.Message, "A lamp") {
		t.Errorf("the message does not tell which: %q", refused.Message)
	}
	if after, _ := store.End(t.Context()); after != before {
		t.Errorf("the log ends at %d, and ended at %d", after, before)
	}
	if chair := shop.must("GET", "/products/chair", ""); chair.Stock != 5 || chair.Held != 2 {
		t.Errorf("the chair is %+v", chair)
	}
	shop.refused(404, "NO_SUCH_ORDER", "GET", "/orders/"+strings.TrimPrefix(basket, "/baskets/"), "")

	shop.must("PUT", basket+"/items/lamp", `{"quantity":1}`)
	order := shop.must("POST", basket+"/checkout", "")
	if order.TotalCents != 3000 || order.header.Get("Location") != "/orders/"+order.Order {
		t.Errorf("the order is %+v", order)
	}
	if chair := shop.must("GET", "/products/chair", ""); chair.Stock != 3 || chair.Held != 0 {
		t.Errorf("in the end the chair is %+v", chair)
	}
	if again := shop.must("GET", "/orders/"+order.Order, ""); again.TotalCents != order.TotalCents {
		t.Errorf("the order is shown as %+v", again)
	}
	shop.refused(409, "CHECKED_OUT", "PUT", basket+"/items/chair", `{"quantity":1}`)
	shop.refused(409, "CHECKED_OUT", "DELETE", basket+"/items/chair", "")
}

func TestARepeatedRequestIsCarriedOutOnce(t *testing.T) {
	shop, store, _ := newCustomer(t)
	shop.must("PUT", "/products/lamp", `{"name":"Lamp","price_cents":100}`)
	twice := func(key, method, path, body string) reply {
		t.Helper()
		first := shop.ask(key, method, path, body)
		end, _ := store.End(t.Context())
		second := shop.ask(key, method, path, body)
		if first.status >= 300 || second.status != first.status || second.Order != first.Order || second.Basket != first.Basket || second.TotalCents != first.TotalCents {
			t.Errorf("%s %s: the first is answered with %+v, the second with %+v", method, path, first, second)
		}
		if after, _ := store.End(t.Context()); after != end {
			t.Errorf("%s %s: the second left records", method, path)
		}
		return second
	}
	twice("1", "POST", "/products/lamp/stock", `{"quantity":5}`)
	basket := "/baskets/" + twice("1", "POST", "/baskets", "").Basket // a key counts for its path
	put := basket + "/items/lamp"
	twice("2", "PUT", put, `{"quantity":2}`)
	twice("3", "DELETE", put, "")
	// A late repeat is known too, though it would lead to something else now.
	if late := shop.ask("2", "PUT", put, ` { "quantity" : 2 } `); late.status != 200 || len(late.Items) != 0 {
		t.Errorf("a late repeat is answered with %+v", late)
	}
	if other := shop.ask("2", "PUT", put, `{"quantity":4}`); other.status != 422 || other.Error != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("the key with another body is answered with %+v", other)
	}
	if other := shop.ask("1", "POST", "/products/lamp/stock", `{"quantity":1}`); other.status != 422 {
		t.Errorf("the key with another body is answered with %+v", other)
	}
	twice("4", "PUT", put, `{"quantity":3}`)
	twice("5", "POST", basket+"/checkout", "")
	if other := shop.ask("6", "POST", basket+"/checkout", ""); other.status != 409 || other.Error != "CHECKED_OUT" {
		t.Errorf("checking out once more is answered with %+v", other)
	}
	if lamp := shop.must("GET", "/products/lamp", ""); lamp.Stock != 2 || lamp.Held != 0 {
		t.Errorf("in the end the lamp is %+v", lamp)
	}
}

func TestWithoutAKeyEachRequestIsACommandOfItsOwn(t *testing.T) {
	shop, _, _ := newCustomer(t)
	shop.list("lamp", "5")
	if lamp := shop.must("POST", "/products/lamp/stock", `{"quantity":5}`); lamp.Stock != 10 {
		t.Errorf("the lamp is %+v", lamp)
	}
	if one, two := shop.begin(), shop.begin(); one == two {
		t.Errorf("two baskets are %s", one)
	}
}

// slow is a driver that is not sure, or always too late.
type slow struct {
	daybook.Driver
	answer error
}

func (s slow) Append(context.Context, daybook.Append) (daybook.Receipt, error) {
	return daybook.Receipt{}, s.answer
}

func TestWhatTheStoreCannotDoIsToldAsThat(t *testing.T) {
	stream := daybook.Stream("basket-1")
	for code, answer := range map[string]error{
		"BUSY":            &daybook.ConflictError{Stream: stream, Expect: daybook.ExpectVersion(1), Found: daybook.Head{Version: 2, First: 1}},
		"UNKNOWN_OUTCOME": daybook.ErrFailed,
		"STORAGE_FULL":    daybook.ErrFull,
		"INTERNAL":        daybook.ErrReadOnly,
	} {
		store := daybook.New(slow{memory.New(nil), answer}, nil)
		defer store.Close()
		got := customer{t, serveShop(t, store, daytest.NewClock(time.Time{}))}.ask("", "POST", "/baskets", "")
		again := got.header.Get("Retry-After") != ""
		if got.Error != code || got.Message == "" || got.status < 500 || again != (got.status == 503) {
			t.Errorf("%v is answered with %d %s (%s), to be tried again: %v", answer, got.status, got.Error, got.Message, again)
		}
	}
}
