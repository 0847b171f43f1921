package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/verify"
)

// openStore returns a store in memory that is verified when the test ends.
func openStore(t *testing.T, clock *daytest.Clock) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(&memory.Options{Now: clock.Now}), nil)
	t.Cleanup(func() {
		if found, err := verify.Store(context.Background(), store, nil); err != nil || !found.OK() {
			t.Errorf("verify: %+v, %v", found, err)
		}
		_ = store.Close()
	})
	return store
}

// serveShop opens a shop on a store and returns its address.
func serveShop(t *testing.T, store *daybook.Store, clock *daytest.Clock) string {
	t.Helper()
	shop, err := newShop(store, clock.Now, aggregate.Retry{MinWait: time.Microsecond, MaxWait: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newWeb(shop))
	t.Cleanup(func() {
		server.Close()
		if err := shop.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

// customer sends requests to a shop.
type customer struct {
	t       *testing.T
	address string
}

// reply is an answer of the shop: of these fields, those that it has.
type reply struct {
	status int
	header http.Header

	Error, Message, Basket, Order, Product string
	Stock, Held, Available                 int
	TotalCents                             int  `json:"total_cents"`
	CheckedOut                             bool `json:"checked_out"`
	Items                                  []struct {
		Product  string
		Quantity int
		Held     bool
	}
}

// ask sends a request, with a key unless that is "". Where there is no answer
// the test fails, and the reply is empty: it is called by many goroutines.
func (c customer) ask(key, method, path, body string) reply {
	c.t.Helper()
	request, err := http.NewRequest(method, c.address+path, strings.NewReader(body))
	if err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
		return reply{}
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
		return reply{}
	}
	defer response.Body.Close()
	answer := reply{status: response.StatusCode, header: response.Header}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.Header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s: the answer is no JSON: %v, %v", method, path, response.Header, err)
	}
	return answer
}

// must is ask for what has to succeed.
func (c customer) must(method, path, body string) reply {
	c.t.Helper()
	answer := c.ask("", method, path, body)
	if answer.status/100 != 2 {
		c.t.Errorf("%s %s: %d %s: %s", method, path, answer.status, answer.Error, answer.Message)
	}
	return answer
}

// list puts so many of a product on sale.
func (c customer) list(product string, quantity string) {
	c.t.Helper()
	c.must("PUT", "/products/"+product, `{"name":"A `+product+`","price_cents":1000}`)
	if quantity != "0" {
		c.must("POST", "/products/"+product+"/stock", `{"quantity":`+quantity+`}`)
	}
}

// begin begins a basket and returns its path.
func (c customer) begin() string {
	c.t.Helper()
	return "/baskets/" + c.must("POST", "/baskets", "").Basket
}

// refused demands that a request is refused with a status and a code, and
// says why.
func (c customer) refused(status int, code, method, path, body string) reply {
	c.t.Helper()
	answer := c.ask("", method, path, body)
	if answer.status != status || answer.Error != code || answer.Message == "" {
		c.t.Errorf("%s %s %.60s: %d %s (%s), want %d %s", method, path, body, answer.status, answer.Error, answer.Message, status, code)
	}
	return answer
}
