package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool returns the connections of a driver.
func Pool(d *Driver) *pgxpool.Pool { return d.pool }

// Schema returns the name of a driver's schema, quoted.
func Schema(d *Driver) string { return d.schema }

// Remake returns the SQL that a migration of a driver's store ends with.
func Remake(t *testing.T, d *Driver) string {
	t.Helper()
	script, err := d.script(Version)
	if err != nil {
		t.Fatal(err)
	}
	return script
}
