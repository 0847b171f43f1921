package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// Rights are what a role of the database may do with a store: docs/postgres-roles.md
// says exactly what. Each includes those above it.
type Rights string

const (
	// RightsNone takes all rights away.
	RightsNone Rights = ""
	// RightsReader reads records, documents of the store, views; it adds nothing.
	RightsReader Rights = "reader"
	// RightsWriter appends besides, and can neither change nor remove anything.
	RightsWriter Rights = "writer"
	// RightsDeleter deletes streams besides. All else, also importing and
	// migrating, is for the role that owns the schema.
	RightsDeleter Rights = "deleter"
)

// Grant gives a role of the database rights on the store at a URL, in place of
// those that it had. It is for the owner of the store, who may also be a
// superuser. The role must be there: CREATE ROLE name LOGIN. What later programs
// make anew when they migrate is the role's as well.
func Grant(ctx context.Context, url, role string, rights Rights) error {
	switch rights {
	case RightsNone, RightsReader, RightsWriter, RightsDeleter:
	default:
		return &daybook.InvalidError{Field: "rights", Value: strconv.Quote(string(rights)), Reason: "must be reader, writer, deleter, or empty"}
	}
	d, err := connect(ctx, url, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		found, err := d.version(ctx, tx)
		if err != nil {
			return err
		}
		if found != Version {
			return &VersionError{Schema: d.options.Schema, Found: found, Version: Version}
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil {
			return err
		}
		if !there {
			return &daybook.InvalidError{Field: "role", Value: strconv.Quote(role), Reason: "must be a role of the database: CREATE ROLE"}
		}
		_, err = tx.Exec(ctx, d.sql.in("SELECT {schema}.grant_rights($1, $2)"), role, string(rights))
		return err
	})
	return explained(err, d.options.Schema)
}
