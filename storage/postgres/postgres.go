// Package postgres keeps a store in a PostgreSQL database, in tables of a
// schema of its own that plain SQL can read (docs/postgres.md).
//
// Appends of one process that run at once travel together, as one statement
// that is one transaction, and each gets its own verdict. Everything that
// changes the log takes its turn inside the server, for the length of one
// statement: positions are given in the order of the commits, so that no
// reader ever passes one that is still to come, and a client that is slow, or
// dies, holds up nobody.
package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// Driver is a store in a PostgreSQL database.
type Driver struct {
	pool    *pgxpool.Pool
	schema  string // its name, quoted
	sql     statements
	options Options
	// pooled is set where a pooler stands between: there a session is only as
	// long as a transaction.
	pooled bool
	queue  queue
	known  known
	bell   sqlstore.Bell
	calls  *sqlstore.Calls
	retry  sqlstore.Retry
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Schema is the schema of the store's tables; several stores can live in
	// one database. Default "daybook", or what the parameter schema of the URL
	// says.
	Schema string
	// NoMigration keeps Open from making the tables, or bringing them to the
	// form of this program: then it fails where that is needed, see Migrate.
	NoMigration bool
	// PartitionSize splits the log by its positions into tables of so many each,
	// if the store is made now; one that is there stays as it was made. What
	// that is good for, and what it costs, docs/postgres-partitions.md says.
	// Default 0: one table.
	PartitionSize int64
	// Connections is how many connections are held at most; default 8, or
	// pool_max_conns of the URL. One more is used while somebody waits for the
	// log to grow.
	Connections int
	// Poll is how often those who wait for the log to grow look for
	// themselves: a notification of the server is only a hint. Default 1 s.
	Poll time.Duration
	// Patience is how long a call goes on trying where the connection is lost
	// or the server starts again. Default 30 s.
	Patience time.Duration
	// Now is the clock of the recorded times; nil is the server's own. Where it
	// jumps back, recorded times stand still until it has caught up.
	Now func() time.Time
	// Logger is told what is repaired or repeated. Default: nobody.
	Logger *slog.Logger
}

// Open connects to the database at a URL as libpq and pgx know them
// ("postgres://user:password@host:5432/database"), with the environment's
// PGHOST and so on behind it, and opens the store in one of its schemas.
//
// Unless Options say otherwise it makes the tables where there are none, and
// brings older ones to the form of this program: see Migrate.
func Open(ctx context.Context, url string, options *Options) (*Driver, error) {
	d, err := connect(ctx, url, options)
	if err != nil {
		return nil, err
	}
	if err := d.migrateOnOpening(ctx); err != nil {
		_ = d.Close()
		return nil, explained(err, d.options.Schema)
	}
	return d, nil
}

// connectTimeout is how long connecting to one address may take, unless
// connect_timeout of the URL says otherwise: a host that does not answer at all
// must not hold up whoever waits at the keyboard.
const connectTimeout = 10 * time.Second

// connect makes a driver, whatever stands in the database.
func connect(ctx context.Context, url string, options *Options) (*Driver, error) {
	d := &Driver{}
	if options != nil {
		d.options = *options
	}
	config, err := d.configure(url)
	if err != nil {
		return nil, err
	}
	d.sql = newStatements(d.schema, d.options.PartitionSize)
	if err := d.inspect(ctx, config.ConnConfig); err != nil {
		return nil, explained(err, d.options.Schema)
	}
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, explained(err, d.options.Schema)
	}
	d.calls, d.queue.driver = sqlstore.NewCalls(context.Background()), d
	d.retry = sqlstore.Retry{
		Driver: d.Name(), Patience: d.options.Patience, Life: d.calls.Life(), Logger: d.options.Logger, IsTransient: isTransient, MayBeDone: mayBeDone,
		Explained: func(_ context.Context, err error) error { return explained(err, d.options.Schema) },
	}
	return d, nil
}

// configure completes the options and reads the URL.
func (d *Driver) configure(url string) (*pgxpool.Config, error) {
	o := &d.options
	url, schema, err := cutSchema(url)
	if err != nil {
		return nil, err
	}
	if o.Schema == "" {
		o.Schema = schema
	}
	if o.Schema == "" {
		o.Schema = "daybook"
	}
	if err := checkSchema(o.Schema); err != nil {
		return nil, err
	}
	if o.PartitionSize < 0 || o.PartitionSize > daybook.MaxPlace {
		return nil, &daybook.InvalidError{Field: "partition_size", Value: fmt.Sprint(o.PartitionSize), Reason: "must be a number of positions, or 0 for one table"}
	}
	d.schema = pgx.Identifier{o.Schema}.Sanitize()
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, badSetting(url, err)
	}
	if o.Connections > 0 {
		config.MaxConns = int32(min(o.Connections, 1<<10))
	} else if !namesParameter(url, "pool_max_conns") {
		config.MaxConns = 8
	}
	if config.ConnConfig.ConnectTimeout == 0 && !namesParameter(url, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "daybook"
	}
	return config, nil
}

// Name returns "postgres".
func (d *Driver) Name() string { return "postgres" }

// Close lets running calls end and closes the connections.
func (d *Driver) Close() error {
	if d.calls.Close() {
		d.pool.Close()
	}
	return nil
}

// clock returns the time to record at; nil is the server's.
func (d *Driver) clock() *time.Time {
	if d.options.Now == nil {
		return nil
	}
	now := daybook.Microseconds(d.options.Now())
	return &now
}

func (d *Driver) unsupported(feature string) error {
	return &daybook.UnsupportedError{Driver: d.Name(), Feature: feature}
}
