package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
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

// unknown is the error of what was sent more than once, where the last time was
// refused, and the outcome of an earlier one is not known.
func unknown(err error) error {
	if !errors.Is(err, daybook.ErrRefused) {
		return err
	}
	return fmt.Errorf("postgres: it was sent before and may be done, the outcome is unknown; now the answer is: %w", unrefused(err))
}

// unrefused returns err so that it does not match daybook.ErrRefused: what the
// server has refused came after something that is done.
func unrefused(err error) error {
	var from *pgconn.PgError
	switch {
	case !errors.Is(err, daybook.ErrRefused):
		return err
	case errors.As(err, &from):
		return from
	}
	return errors.New(err.Error())
}
