package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool returns the connections of a driver.
func Pool(d *Driver) *pgxpool.Pool { return d.pool }

// Schema returns the name of a driver's schema, quoted.
func Schema(d *Driver) string { return d.schema }
