package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// mayBeDone reports whether something that failed for the moment may have been
// done all the same: it was sent, and nobody says that it was undone.
func mayBeDone(err error) bool {
	var from *pgconn.PgError
	if errors.As(err, &from) {
		switch from.Code {
		case "40001", "40P01", "55P03", "53300", "57P03":
			return false
		}
		return strings.HasPrefix(from.Code, "08") || isTransient(err)
	}
	var connecting *pgconn.ConnectError
	return !errors.As(err, &connecting) && !pgconn.SafeToRetry(err)
}
