package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// bell wakes those who wait for the log to grow. Appends of this process ring
// it. While somebody waits, one goroutine looks for those of others: at once
// when the server notifies it, which is a hint and may be lost, else every
// Options.Poll.
type bell struct {
	driver *Driver

	mu        sync.Mutex       // guards all below
	end       daybook.Position // the log has reached it
	grown     chan struct{}    // closed, and replaced, when end has risen; nil while nobody waits
	waiting   int
	listening bool
}

// Wait implements daybook.Waiter.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	b := &d.bell
	b.mu.Lock()
	b.waiting++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.waiting--
		b.mu.Unlock()
	}()
	for first := true; ; first = false {
		b.mu.Lock()
		if b.end > after {
			b.mu.Unlock()
			return nil
		}
		if b.grown == nil {
			b.grown = make(chan struct{})
		}
		grown := b.grown
		if !b.listening {
			b.listening = true
			d.calls.Add(1) // Close waits for this call, so it has not begun to wait for none
			go b.listen()
		}
		b.mu.Unlock()
		if first {
			e, err := d.readEnd(ctx)
			if err != nil {
				return err
			}
			if b.ring(e.position); e.position > after {
				return nil
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		case <-d.life.Done():
			return daybook.ErrClosed
		}
	}
}

// ring takes in that the log has reached a position.
func (b *bell) ring(end daybook.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if end <= b.end {
		return
	}
	b.end = end
	if b.grown != nil {
		close(b.grown)
		b.grown = nil
	}
}

// idle reports whether nobody waits; then nobody listens either from now on.
func (b *bell) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 {
		return false
	}
	b.listening = false
	return true
}

// linger is how many polls the goroutine goes on after the last one who waited.
const linger = 5

// listen looks for what others append, until nobody has waited for a while.
func (b *bell) listen() {
	d := b.driver
	defer d.calls.Done()
	var connection *pgx.Conn
	defer func() {
		if connection != nil {
			_ = connection.Close(context.Background())
		}
	}()
	for alone := 0; d.life.Err() == nil; {
		if e, err := d.readEnd(d.life); err == nil {
			b.ring(e.position)
		}
		b.mu.Lock()
		waiting := b.waiting
		b.mu.Unlock()
		if alone++; waiting > 0 {
			alone = 0
		}
		if alone > linger && b.idle() {
			return
		}
		if connection == nil && !d.pooled {
			if connection = b.connect(); connection != nil {
				continue // what was appended before it listened was not told
			}
		}
		connection = b.await(connection)
	}
	b.mu.Lock()
	b.listening = false
	b.mu.Unlock()
}

// connect opens the connection that is notified; nil if that fails.
func (b *bell) connect() *pgx.Conn {
	d := b.driver
	ctx, cancel := context.WithTimeout(d.life, d.options.Patience)
	defer cancel()
	connection, err := pgx.ConnectConfig(ctx, d.pool.Config().ConnConfig)
	if err != nil {
		return nil
	}
	// Who appends notifies only while somebody shares this lock: see ring.sql.
	sql := d.sql.in(fmt.Sprintf("SELECT pg_advisory_lock_shared(%d, '{schema}.events'::regclass::oid::int), '{schema}.events'::regclass::oid::bigint", lockClass+1))
	var oid int64
	if err = connection.QueryRow(ctx, sql).Scan(nil, &oid); err == nil {
		_, err = connection.Exec(ctx, fmt.Sprintf("LISTEN daybook_%d", oid))
	}
	if err != nil {
		_ = connection.Close(context.Background())
		return nil
	}
	return connection
}

// await waits until the server notifies, or for Options.Poll. It returns the
// connection if it is still good.
func (b *bell) await(connection *pgx.Conn) *pgx.Conn {
	ctx, cancel := context.WithTimeout(b.driver.life, b.driver.options.Poll)
	defer cancel()
	if connection == nil {
		<-ctx.Done()
		return nil
	}
	_, err := connection.WaitForNotification(ctx)
	if err == nil || ctx.Err() != nil && !connection.IsClosed() {
		return connection
	}
	<-ctx.Done() // the server may be down: not again at once
	_ = connection.Close(context.Background())
	return nil
}
