package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions of Serve. Nil and zero fields mean the defaults.
type ServerOptions struct {
	// ReadHeaderTimeout is how long the header of a request may take. Default
	// 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request.
	// Default 2 min.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the header of a request, its query parameters
	// included. Default 1 MiB.
	MaxHeaderBytes int
	// Grace is how long running requests may take when the server shuts down.
	// Default 15 s.
	Grace time.Duration
	// Logger takes what goes wrong with connections. Default slog.Default().
	Logger *slog.Logger
}

// Serve serves handler on listener until ctx ends, then shuts down: it takes
// no more connections, ends the live streams and long polls of a Handler with
// their reason, and lets running requests finish, for Options.Grace at most.
// The handler may be wrapped in others.
//
// It closes the listener and returns nil, or what went wrong: that the
// listener failed, or that requests had to be cut off.
//
// Bodies and replies have no overall time limit here; the Handler gives each
// read and write its own.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, options *ServerOptions) error {
	var o ServerOptions
	if options != nil {
		o = *options
	}
	log := cmp.Or(o.Logger, slog.Default())
	drain, beginDrain := context.WithCancel(context.Background())
	defer beginDrain()
	requests, cutOff := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), drainKey{}, drain))
	defer cutOff()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: cmp.Or(o.ReadHeaderTimeout, 10*time.Second),
		IdleTimeout:       cmp.Or(o.IdleTimeout, 2*time.Minute),
		MaxHeaderBytes:    cmp.Or(o.MaxHeaderBytes, 1<<20),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		cutOff()
		return errors.Join(fmt.Errorf("serving on %s: %w", listener.Addr(), err), server.Close())
	case <-ctx.Done():
	}
	beginDrain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(o.Grace, 15*time.Second))
	defer cancel()
	err := server.Shutdown(grace)
	if err == nil {
		return nil
	}
	cutOff()
	return errors.Join(fmt.Errorf("shutting down: requests were cut off: %w", err), server.Close())
}
