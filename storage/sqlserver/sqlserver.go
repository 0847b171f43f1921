// Package sqlserver keeps a store in a SQL Server database, in tables of a
// schema of its own that plain SQL can read (docs/sqlserver.md). It has not yet
// run against a server: it is written by the documentation.
//
// Appends of one process that run at once travel together, as one statement
// that is one transaction, and each gets its own verdict. Everything that
// changes the log takes its turn inside the server, for the length of one
// statement: positions are given in the order of the commits, so that no
// reader ever passes one that is still to come, and a client that is slow, or
// dies, holds up nobody.
package sqlserver

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// Driver is a store in a SQL Server database.
type Driver struct {
	pool    *sql.DB
	sql     statements
	options Options
	queue   queue
	bell    sqlstore.Bell
	calls   *sqlstore.Calls
	retry   sqlstore.Retry
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
	// Connections is how many connections are held at most; default 8.
	Connections int
	// Poll is how often those who wait for the log to grow look for what other
	// processes append. Default 250 ms.
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

// Open connects to the database at a URL
// ("sqlserver://user:password@host:1433?database=NAME"; see docs/sqlserver.md
// for its parameters) and opens the store in one of its schemas.
//
// Unless Options say otherwise it makes the tables where there are none, and
// brings older ones to the form of this program: see Migrate. The database must
// give each statement one state to read (READ_COMMITTED_SNAPSHOT): see
// SnapshotError.
func Open(ctx context.Context, url string, options *Options) (*Driver, error) {
	d, err := connect(url, options)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(ctx); err != nil {
		_ = d.Close()
		return nil, explained(err, d.options.Schema)
	}
	return d, nil
}

// connect makes a driver whose connections are opened when they are needed.
func connect(url string, options *Options) (*Driver, error) {
	d := &Driver{}
	if options != nil {
		d.options = *options
	}
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
	if o.Connections <= 0 {
		o.Connections = 8
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	config, err := msdsn.Parse(url)
	if err != nil {
		return nil, badURL(err)
	}
	if !namesParameter(url, "app name") {
		config.AppName = "daybook"
	}
	config.DisableRetry = true // it would repeat an import without a look at the log: see again
	d.over(sql.OpenDB(mssql.NewConnectorConfig(config)))
	return d, nil
}

// over lets a driver whose options are complete use the connections of a pool.
func (d *Driver) over(pool *sql.DB) {
	d.pool = pool
	d.pool.SetMaxOpenConns(d.options.Connections)
	d.pool.SetMaxIdleConns(d.options.Connections)
	d.sql = newStatements(d.options.Schema)
	d.calls, d.queue.send = sqlstore.NewCalls(context.Background()), d.send
	d.retry = d.retries()
}

// prepare finds out what is connected to, and sees to the tables.
func (d *Driver) prepare(ctx context.Context) error {
	var version, edition int
	var level int
	var snapshot bool
	var database string
	row := d.pool.QueryRowContext(ctx, serverQuery)
	if err := row.Scan(&version, &edition, &database, &level, &snapshot); err != nil {
		return err
	}
	switch {
	case version < oldestServer && !slices.Contains(azureEditions, edition):
		return &ServerError{Version: version}
	case level < oldestLevel:
		return &ServerError{Version: version, Database: database, Level: level}
	case !snapshot:
		return &SnapshotError{Database: database}
	}
	return d.migrateOnOpening(ctx)
}

// Name returns "sqlserver".
func (d *Driver) Name() string { return "sqlserver" }

// Close lets running calls end and closes the connections.
func (d *Driver) Close() error {
	if !d.calls.Close() {
		return nil
	}
	return d.pool.Close()
}

// clock returns the time to record at, as a text; nil is the server's.
func (d *Driver) clock() any {
	if d.options.Now == nil {
		return nil
	}
	return timeText(d.options.Now())
}

func (d *Driver) unsupported(feature string) error {
	return &daybook.UnsupportedError{Driver: d.Name(), Feature: feature}
}
