package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// SettingError says that the database, or the user, is set up so that no store
// can be kept there. It matches daybook.ErrRefused.
type SettingError struct {
	Setting string // "server_encoding"
	Value   string // "LATIN1"
	Hint    string // what to do
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("postgres: %s is %s: %s", e.Setting, e.Value, e.Hint)
}

// Is reports whether target is a question that e answers with yes.
func (e *SettingError) Is(target error) bool { return target == daybook.ErrRefused }

// everywhere are settings of our sessions that poolers know too: they hand them
// on from session to session. Whatever is set for the database or the user, the
// statements mean the same.
var everywhere = map[string]string{
	"client_encoding": "UTF8", "standard_conforming_strings": "on", "timezone": "UTC", "datestyle": "ISO, MDY",
}

// directly are settings of our sessions where no pooler stands between, which
// refuses those that it does not know.
var directly = map[string]string{
	// What others have committed must be seen in each turn.
	"default_transaction_isolation": "read committed",
	// The plans do not hang on the values: planning anew costs more than it
	// could win.
	"plan_cache_mode": "force_generic_plan", "jit": "off",
}

// inspect connects for the first time. It finds out what stands at the other
// end, refuses what cannot hold a store, and completes the configuration.
func (d *Driver) inspect(ctx context.Context, config *pgx.ConnConfig) error {
	for name, value := range everywhere {
		config.RuntimeParams[name] = value
	}
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer connection.Close(context.WithoutCancel(ctx))
	var pid uint32
	var version int
	var encoding, isolation string
	err = connection.QueryRow(ctx, `
		SELECT pg_backend_pid()::bigint, current_setting('server_version_num')::int, current_setting('server_encoding'),
			current_setting('default_transaction_isolation')`, pgx.QueryExecModeExec).Scan(&pid, &version, &encoding, &isolation)
	if err != nil {
		return err
	}
	// A pooler makes up the process id that it tells.
	d.pooled = pid != connection.PgConn().PID()
	switch {
	case version < oldestServer:
		return &ServerError{Version: version}
	case encoding != "UTF8":
		return &SettingError{"server_encoding", encoding, "a store needs a database that holds any text: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"}
	case d.pooled && isolation != "read committed":
		return &SettingError{"default_transaction_isolation", isolation, "through a pooler it cannot be set for a session: ALTER ROLE ... SET default_transaction_isolation = 'read committed'"}
	}
	switch mode := config.DefaultQueryExecMode; {
	case d.pooled && mode == pgx.QueryExecModeCacheStatement, mode == pgx.QueryExecModeExec, mode == pgx.QueryExecModeSimpleProtocol:
		// Through a pooler, what was prepared is not there in the next transaction;
		// and arrays can only be sent once the server has told their types.
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !d.pooled {
		for name, value := range directly {
			config.RuntimeParams[name] = value
		}
	}
	return nil
}
