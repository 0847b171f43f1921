package main

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
)

// openShop runs the program on a store until close is called.
func openShop(t *testing.T, where string) (c customer, shut func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var out strings.Builder
	go func() { ended <- run(ctx, listener, where, &out) }()
	return customer{t, "http://" + listener.Addr().String()}, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), listener.Addr().String()) {
			t.Errorf("the program does not say where it listens: %q", out.String())
		}
	}
}

func TestAShopOnFilesIsThereAgain(t *testing.T) {
	dir := t.TempDir()
	shop, shut := openShop(t, dir)
	shop.list("lamp", "3")
	basket := shop.begin()
	shop.must("PUT", basket+"/items/lamp", `{"quantity":2}`)
	shut()

	shop, shut = openShop(t, dir)
	defer shut()
	if lamp := shop.must("GET", "/products/lamp", ""); lamp.Stock != 3 || lamp.Available != 1 {
		t.Errorf("after opening again it is %+v", lamp)
	}
	if order := shop.must("POST", basket+"/checkout", ""); order.TotalCents != 2000 {
		t.Errorf("the order is %+v", order)
	}
}

func TestShopsOnOneServerAreOne(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	server := httptest.NewServer(httpapi.New(store, nil))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); _ = store.Close() })
	here, shutHere := openShop(t, server.URL)
	defer shutHere()
	there, shutThere := openShop(t, server.URL)
	defer shutThere()

	here.list("lamp", "1")
	basket := there.begin()
	there.must("PUT", basket+"/items/lamp", `{"quantity":1}`)
	here.refused(409, "OUT_OF_STOCK", "PUT", here.begin()+"/items/lamp", `{"quantity":1}`)
	here.must("POST", basket+"/checkout", "")
	there.refused(409, "CHECKED_OUT", "POST", basket+"/checkout", "")
}

func TestAShopWithoutAStoreSaysSo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), listener, "http://", &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "url: must be http://") {
		t.Errorf("it answers %v", err)
	}
}
