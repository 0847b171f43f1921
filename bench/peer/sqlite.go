package peer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

// sqlitePeer keeps events in a table with an order over all streams. SQLite
// takes one writer at a time, so writers wait for a lock of ours, which is
// kinder to them than its own.
type sqlitePeer struct {
	readers *sql.DB

	mu     sync.Mutex // guards all below
	writer *sql.DB    // of one connection
	insert *sql.Stmt
}

const sqliteSchema = `CREATE TABLE IF NOT EXISTS events (
	position INTEGER PRIMARY KEY,
	stream   TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	data     BLOB    NOT NULL,
	UNIQUE (stream, version)
)`

func openSQLite(ctx context.Context, place Place) (Peer, error) {
	if err := makeEmpty(place); err != nil {
		return nil, err
	}
	synchronous := "FULL"
	if place.Unsynced {
		synchronous = "OFF"
	}
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(" + synchronous + ")", "busy_timeout(10000)"}}
	source := "file:" + filepath.Join(place.Dir, "events.sqlite") + "?" + pragmas.Encode()
	writer, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	p := &sqlitePeer{writer: writer}
	if p.readers, err = sql.Open("sqlite", source); err == nil {
		_, err = writer.ExecContext(ctx, sqliteSchema)
	}
	if err == nil {
		p.insert, err = writer.PrepareContext(ctx, "INSERT INTO events (stream, version, data) VALUES (?, ?, ?)")
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Append implements Peer.
func (p *sqlitePeer) Append(ctx context.Context, appends ...Append) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(appends) == 1 && len(appends[0].Events) == 1 {
		return p.put(ctx, p.insert, &appends[0])
	}
	tx, err := p.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	insert := tx.StmtContext(ctx, p.insert)
	for i := range appends {
		if err := p.put(ctx, insert, &appends[i]); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// put inserts the events of one append.
func (p *sqlitePeer) put(ctx context.Context, insert *sql.Stmt, a *Append) error {
	for i := range a.Events {
		if _, err := insert.ExecContext(ctx, a.Stream, a.First+int64(i), a.Events[i].Data); err != nil {
			if strings.Contains(err.Error(), "UNIQUE constraint failed") {
				return fmt.Errorf("%w: %w", ErrConflict, err)
			}
			return err
		}
	}
	return nil
}

// ReadStream implements Peer.
func (p *sqlitePeer) ReadStream(ctx context.Context, stream string, visit func(version int64, data []byte) error) error {
	rows, err := p.readers.QueryContext(ctx, "SELECT version, data FROM events WHERE stream = ? ORDER BY version", stream)
	if err != nil {
		return err
	}
	defer rows.Close()
	var version int64
	var data sql.RawBytes
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
func (p *sqlitePeer) ReadLog(ctx context.Context, visit func(data []byte) error) error {
	rows, err := p.readers.QueryContext(ctx, "SELECT data FROM events ORDER BY position")
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes
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
func (p *sqlitePeer) Head(ctx context.Context, stream string) (int64, error) {
	var head int64
	err := p.readers.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM events WHERE stream = ?", stream).Scan(&head)
	return head, err
}

// Version implements Versioner.
func (p *sqlitePeer) Version(ctx context.Context) (string, error) {
	var version string
	err := p.readers.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version)
	return "SQLite " + version, err
}

// Close implements Peer.
func (p *sqlitePeer) Close() error {
	var errs []error
	if p.readers != nil {
		errs = append(errs, p.readers.Close())
	}
	if p.insert != nil {
		errs = append(errs, p.insert.Close())
	}
	return errors.Join(append(errs, p.writer.Close())...)
}
