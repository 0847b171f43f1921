package peer

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/daybook-go/daybook/bench/measure"
)

// poolSize is how many connections a peer on PostgreSQL uses: more make it
// slower.
const poolSize = 32

// uniqueViolation is PostgreSQL's code for it.
const uniqueViolation = "23505"

// postgresPeer keeps events in a table with an order over all streams, each
// append as one statement, which is one transaction.
type postgresPeer struct {
	pool          *pgxpool.Pool
	one, many     string // insert one event, insert any number
	stream, whole string // read a stream, read everything
	head          string
}

func openPostgres(ctx context.Context, place Place) (Peer, error) {
	if place.PostgresURL == "" {
		return nil, fmt.Errorf("DAYBOOK_POSTGRES_URL is not set: %w", ErrAbsent)
	}
	pool, err := openPool(ctx, place.PostgresURL, place)
	if err != nil {
		return nil, err
	}
	table := pgx.Identifier{"events_" + place.Name}.Sanitize()
	if !place.Keep {
		_, err = pool.Exec(ctx, "DROP TABLE IF EXISTS "+table)
	}
	if err == nil {
		_, err = pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+table+` (
			position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
			stream   text   NOT NULL,
			version  bigint NOT NULL,
			data     bytea  NOT NULL,
			UNIQUE (stream, version)
		)`)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &postgresPeer{
		pool:   pool,
		one:    "INSERT INTO " + table + " (stream, version, data) VALUES ($1, $2, $3)",
		many:   "INSERT INTO " + table + " (stream, version, data) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])",
		stream: "SELECT version, data FROM " + table + " WHERE stream = $1 ORDER BY version",
		whole:  "SELECT data FROM " + table + " ORDER BY position",
		head:   "SELECT coalesce(max(version), 0) FROM " + table + " WHERE stream = $1",
	}, nil
}

// openPool connects to a server and refuses one that does not sync, unless
// that is asked for.
func openPool(ctx context.Context, url string, place Place) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns, config.MinConns = poolSize, poolSize
	if place.Unsynced {
		config.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	var fsync string
	if err := pool.QueryRow(ctx, "SHOW fsync").Scan(&fsync); err != nil {
		pool.Close()
		return nil, err
	}
	if fsync != "on" && !place.Unsynced {
		pool.Close()
		return nil, fmt.Errorf("the PostgreSQL server runs with fsync=%s, its figures would mean nothing: %w", fsync, ErrAbsent)
	}
	return pool, nil
}

// Append implements Peer.
func (p *postgresPeer) Append(ctx context.Context, appends ...Append) error {
	if len(appends) == 1 && len(appends[0].Events) == 1 {
		a := &appends[0]
		_, err := p.pool.Exec(ctx, p.one, a.Stream, a.First, a.Events[0].Data)
		return fromUnique(err)
	}
	var streams []string
	var versions []int64
	var data [][]byte
	for i := range appends {
		a := &appends[i]
		for j := range a.Events {
			streams = append(streams, a.Stream)
			versions = append(versions, a.First+int64(j))
			data = append(data, a.Events[j].Data)
		}
	}
	_, err := p.pool.Exec(ctx, p.many, streams, versions, data)
	return fromUnique(err)
}

// fromUnique returns the error in the words of this package.
func fromUnique(err error) error {
	var postgres *pgconn.PgError
	if errors.As(err, &postgres) && postgres.Code == uniqueViolation {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

// ReadStream implements Peer.
func (p *postgresPeer) ReadStream(ctx context.Context, stream string, visit func(version int64, data []byte) error) error {
	return visitRows(ctx, p.pool, visit, p.stream, stream)
}

// visitRows hands over the rows of a query for versions and data.
func visitRows(ctx context.Context, pool *pgxpool.Pool, visit func(version int64, data []byte) error, query string, args ...any) error {
	rows, err := pool.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var version int64
	var data pgtype.DriverBytes
	for rows.Next() {
		if err := rows.Scan(&version, &data); err != nil {
			return err
		}
		if err := visit(version, data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ReadLog implements LogReader.
func (p *postgresPeer) ReadLog(ctx context.Context, visit func(data []byte) error) error {
	rows, err := p.pool.Query(ctx, p.whole)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data pgtype.DriverBytes
	for rows.Next() {
		if err := rows.Scan(&data); err != nil {
			return err
		}
		if err := visit(data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Head implements Header.
func (p *postgresPeer) Head(ctx context.Context, stream string) (int64, error) {
	var head int64
	err := p.pool.QueryRow(ctx, p.head, stream).Scan(&head)
	return head, err
}

// Version implements Versioner.
func (p *postgresPeer) Version(ctx context.Context) (string, error) {
	return postgresVersion(ctx, p.pool)
}

func postgresVersion(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var version string
	err := pool.QueryRow(ctx, "SHOW server_version").Scan(&version)
	return "PostgreSQL " + version, err
}

// ServerPID implements ServerProcess.
func (p *postgresPeer) ServerPID(ctx context.Context) (int, error) { return postmaster(ctx, p.pool) }

// postmaster returns the process that started those that serve connections.
func postmaster(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	var pid int
	if err := pool.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return 0, err
	}
	parent := measure.ParentOf(pid)
	if parent <= 1 {
		return 0, fmt.Errorf("process %d of the server is not on this machine", pid)
	}
	return parent, nil
}

// Close implements Peer.
func (p *postgresPeer) Close() error {
	p.pool.Close()
	return nil
}
