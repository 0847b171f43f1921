package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// Wait implements daybook.Waiter.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	return d.bell.Wait(ctx, d.calls, after, d.endPosition, d.listen)
}

// linger is how many polls the goroutine goes on after the last one who waited.
const linger = 5

// listen looks for what others append, until nobody has waited for a while: at
// once when the server notifies it, which is a hint and may be lost, else every
// Options.Poll.
func (d *Driver) listen() {
	life := d.calls.Life()
	var connection *pgx.Conn
	defer func() {
		if connection != nil {
			_ = connection.Close(context.Background())
		}
	}()
	for alone := 0; life.Err() == nil; {
		if end, err := d.endPosition(life); err == nil {
			d.bell.Ring(end)
		}
		if alone++; d.bell.Awaited() {
			alone = 0
		}
		if alone > linger && d.bell.Idle() {
			return
		}
		if connection == nil && !d.pooled {
			if connection = d.notified(life); connection != nil {
				continue // what was appended before it listened was not told
			}
		}
		connection = d.await(life, connection)
	}
}

// notified opens the connection that is notified; nil if that fails.
func (d *Driver) notified(ctx context.Context) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, d.options.Patience)
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
func (d *Driver) await(ctx context.Context, connection *pgx.Conn) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, d.options.Poll)
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
