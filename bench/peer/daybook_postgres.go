package peer

import (
	"context"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// daybookPostgres is Daybook on the PostgreSQL server that the other peers use.
type daybookPostgres struct {
	Daybook
	pool *pgxpool.Pool // for what is no business of the driver
}

func openDaybookPostgres(ctx context.Context, place Place) (Peer, error) {
	if place.PostgresURL == "" {
		return nil, fmt.Errorf("DAYBOOK_POSTGRES_URL is not set: %w", ErrAbsent)
	}
	pool, err := openPool(ctx, place.PostgresURL, place)
	if err != nil {
		return nil, err
	}
	schema := "daybook_" + place.Name
	if !place.Keep {
		_, err = pool.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE")
	}
	var driver *postgres.Driver
	if err == nil {
		var address string
		if address, err = withParameters(place, schema); err == nil {
			driver, err = postgres.Open(ctx, address, nil)
		}
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &daybookPostgres{Daybook{daybook.New(driver, nil), daybook.DurabilityDefault, place.Borrow}, pool}, nil
}

// withParameters returns the URL of a schema.
func withParameters(place Place, schema string) (string, error) {
	address, err := url.Parse(place.PostgresURL)
	if err != nil {
		return "", err
	}
	parameters := address.Query()
	parameters.Set("schema", schema)
	if place.Unsynced {
		parameters.Set("synchronous_commit", "off")
	}
	address.RawQuery = parameters.Encode()
	return address.String(), nil
}

// Version implements Versioner.
func (d *daybookPostgres) Version(ctx context.Context) (string, error) {
	return postgresVersion(ctx, d.pool)
}

// ServerPID implements ServerProcess.
func (d *daybookPostgres) ServerPID(ctx context.Context) (int, error) {
	return postmaster(ctx, d.pool)
}

// Close implements Peer.
func (d *daybookPostgres) Close() error {
	d.pool.Close()
	return d.Daybook.Close()
}
