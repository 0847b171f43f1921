package peer

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// messageDBPeer is Message DB: functions in PostgreSQL.
type messageDBPeer struct{ pool *pgxpool.Pool }

const (
	writeMessage = "SELECT message_store.write_message($1, $2, 'deposited', $3::jsonb, NULL, $4)"
	readMessages = "SELECT position + 1, data::text::bytea FROM message_store.messages WHERE stream_name = $1 ORDER BY position"
)

func openMessageDB(ctx context.Context, place Place) (Peer, error) {
	if place.MessageDBURL == "" {
		return nil, fmt.Errorf("DAYBOOK_MESSAGEDB_URL is not set: %w", ErrAbsent)
	}
	url := place.MessageDBURL
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	// Its functions name its tables without their schema.
	pool, err := openPool(ctx, url+separator+"search_path=message_store", place)
	if err != nil {
		return nil, err
	}
	if !place.Keep {
		if _, err := pool.Exec(ctx, "TRUNCATE message_store.messages RESTART IDENTITY"); err != nil {
			pool.Close()
			return nil, err
		}
	}
	return &messageDBPeer{pool}, nil
}

// Append implements Peer. Message DB writes one event a call; several become
// one transaction, sent together.
func (p *messageDBPeer) Append(ctx context.Context, appends ...Append) error {
	if len(appends) == 1 && len(appends[0].Events) == 1 {
		a := &appends[0]
		_, err := p.pool.Exec(ctx, writeMessage, uuid.NewString(), a.Stream, a.Events[0].Data, a.First-2)
		return fromWrongVersion(err)
	}
	return fromWrongVersion(pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for i := range appends {
			a := &appends[i]
			for j := range a.Events {
				batch.Queue(writeMessage, uuid.NewString(), a.Stream, a.Events[j].Data, a.First+int64(j)-2)
			}
		}
		return tx.SendBatch(ctx, batch).Close()
	}))
}

// fromWrongVersion returns the error in the words of this package.
func fromWrongVersion(err error) error {
	if err != nil && strings.Contains(err.Error(), "Wrong expected version") {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

// ReadStream implements Peer.
func (p *messageDBPeer) ReadStream(ctx context.Context, stream string, visit func(version int64, data []byte) error) error {
	return visitRows(ctx, p.pool, visit, readMessages, stream)
}

// Head implements Header.
func (p *messageDBPeer) Head(ctx context.Context, stream string) (int64, error) {
	var head int64
	err := p.pool.QueryRow(ctx, "SELECT coalesce(message_store.stream_version($1), -1) + 1", stream).Scan(&head)
	return head, err
}

// Version implements Versioner.
func (p *messageDBPeer) Version(ctx context.Context) (string, error) {
	var version string
	if err := p.pool.QueryRow(ctx, "SELECT message_store.message_store_version()").Scan(&version); err != nil {
		return "", err
	}
	server, err := postgresVersion(ctx, p.pool)
	return "Message DB " + version + ", " + server, err
}

// ServerPID implements ServerProcess.
func (p *messageDBPeer) ServerPID(ctx context.Context) (int, error) { return postmaster(ctx, p.pool) }

// Close implements Peer.
func (p *messageDBPeer) Close() error {
	p.pool.Close()
	return nil
}
