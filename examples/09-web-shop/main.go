// Web-shop sells over HTTP: products, baskets that keep what is in them for an
// hour, and orders. README.md walks through it.
//
//	go run ./examples/09-web-shop                          a store in a directory that goes when the shop ends
//	go run ./examples/09-web-shop shop-data                a store in a directory
//	go run ./examples/09-web-shop http://localhost:7070    a store behind daybook serve, for as many shops as you like
//
// What happens to a product, a basket and an order, and what can be asked of
// them, stands in product.go, basket.go and order.go: functions, without a
// store or a clock. shop.go makes transactions of them, web.go requests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
)

func main() {
	address := flag.String("addr", "localhost:8080", "where the shop listens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *address)
	if err == nil {
		err = run(ctx, listener, flag.Arg(0), os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run opens the shop until ctx ends.
func run(ctx context.Context, listener net.Listener, where string, out io.Writer) (err error) {
	defer listener.Close()
	if where == "" {
		dir, failed := os.MkdirTemp("", "web-shop-")
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		where = dir
	}
	driver, err := open(where)
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer func() { err = errors.Join(err, store.Close()) }()
	shop, err := newShop(store, time.Now, aggregate.Retry{})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the shop is open at http://%s, its store is %s\n", listener.Addr(), where)
	return errors.Join(serve(ctx, listener, newWeb(shop)), shop.Close(context.WithoutCancel(ctx)))
}

func open(where string) (daybook.Driver, error) {
	if strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://") {
		return remote.Open(where, nil)
	}
	return disk.Open(where, nil)
}

// serve answers requests until ctx ends, and then those that run to their end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
