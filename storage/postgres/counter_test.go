package postgres_test

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// counter counts what a driver tells its logger: what it tried again.
type counter struct {
	slog.Handler
	count atomic.Int64
}

func (c *counter) logger() *slog.Logger {
	c.Handler = slog.DiscardHandler
	return slog.New(c)
}

// Enabled implements slog.Handler.
func (c *counter) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (c *counter) Handle(context.Context, slog.Record) error {
	c.count.Add(1)
	return nil
}
