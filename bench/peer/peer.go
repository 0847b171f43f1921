// Package peer holds what is measured side by side: Daybook, the bounds that
// the machine sets, and other engines, each in a file of its own and behind one
// small interface.
//
// Every peer stores an event under its stream and version, durably before
// Append returns, in the way that its own documentation advises. Where a peer
// leaves a choice, the one that is faster for it was taken.
package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Event is what is stored.
type Event struct {
	Data []byte
	Tag  string // kept by Daybook only; "" is none
}

// Append is what one writer stores at once: events of one stream, all or
// nothing.
type Append struct {
	Stream string
	First  int64 // the version of the first event; versions rise by one, from 1
	Events []Event
}

// Peer is a contender. It may be used by many goroutines at once.
type Peer interface {
	// Append returns when all the appends are stored: in one transaction, where
	// the peer has such. Those that tell so in Contender.Checks answer
	// ErrConflict when a stream does not end right below First; the others
	// trust the caller.
	Append(ctx context.Context, appends ...Append) error
	// ReadStream hands over the events of a stream in the order of their
	// versions. The data is borrowed: it is good until visit returns.
	ReadStream(ctx context.Context, stream string, visit func(version int64, data []byte) error) error
	// Close releases what the peer holds. What was stored stays.
	Close() error
}

// Header is a peer that can tell the version of the last event of a stream; 0
// if there is none.
type Header interface {
	Head(ctx context.Context, stream string) (int64, error)
}

// Conditional is a peer that can refuse an append because of what carries a
// tag.
type Conditional interface {
	// AppendIf stores the append unless an event with the tag stands above a
	// position, which is answered with *StandsAbove; tag "" is no condition.
	// Versions are not compared. It returns the position of
	// the last event it stored.
	AppendIf(ctx context.Context, a Append, tag string, after int64) (int64, error)
}

// LogReader is a peer that can hand over everything in the order in which it
// was stored.
type LogReader interface {
	ReadLog(ctx context.Context, visit func(data []byte) error) error
}

// Versioner is a peer whose version no list of Go modules tells.
type Versioner interface {
	Version(ctx context.Context) (string, error)
}

// ServerProcess is a peer whose work is done by another process of this
// machine.
type ServerProcess interface {
	// ServerPID returns the process whose children do the work.
	ServerPID(ctx context.Context) (int, error)
}

// As returns the peer as what it offers besides, also where something was put
// before it.
func As[T any](p Peer) (T, bool) {
	if offered, ok := p.(T); ok {
		return offered, true
	}
	if before, ok := p.(*groupedPeer); ok {
		return As[T](before.Peer)
	}
	var none T
	return none, false
}

// ErrConflict says that a stream is not where an append expects it.
var ErrConflict = errors.New("the stream has moved on")

// ErrAbsent says that a peer cannot be had on this machine.
var ErrAbsent = errors.New("not to be had here")

// StandsAbove says that a condition was broken, and by the event at which
// position.
type StandsAbove struct{ Position int64 }

func (e *StandsAbove) Error() string {
	return fmt.Sprintf("an event at position %d stands in the way", e.Position)
}

// Place is where a peer keeps what it stores.
type Place struct {
	Dir  string // of this peer alone
	Name string // of the set of events, for peers that are servers: "append"
	// Keep leaves what is there from before; else the place is made empty.
	Keep bool
	// Unsynced lets a peer be filled without syncs, where it can: for loading
	// what only reads are measured on.
	Unsynced bool
	// Borrow lets a peer hand over what is read without copying it, where it
	// can.
	Borrow bool
	// PostgresURL and MessageDBURL reach the servers; "" if there are none.
	PostgresURL  string
	MessageDBURL string
}

// Contender is a peer that can be opened, and what a reader of its figures has
// to know.
type Contender struct {
	Name   string // "pebble"
	About  string // "a synced batch an append"
	Module string // the Go module whose version is told, "" for none
	// Checks tells whether Append compares the version that it is given.
	Checks bool
	// Bound marks what only writes bytes and is no engine.
	Bound bool
	// OneWriter marks what makes sense for a lone writer only.
	OneWriter bool
	// Volatile marks what forgets when the process ends: it is measured when
	// it is asked for by name only.
	Volatile bool
	Open     func(ctx context.Context, place Place) (Peer, error)
}

// All returns the contenders, Daybook and the bounds first.
func All() []Contender {
	return []Contender{
		{Name: "R", About: "bare group commit: frames with CRC32C, one write and fdatasync a group, zeroed space", Bound: true, Open: openBound},
		{Name: "bare", About: "bare write and fdatasync an append, zeroed space", Bound: true, OneWriter: true, Open: openBare},
		{Name: "daybook", About: "storage/disk, each append expects the version of its stream", Checks: true, Open: openDaybook},
		{Name: "daybook-memory", About: "storage/memory, not durable", Checks: true, Volatile: true, Open: openDaybookMemory},
		{Name: "pebble", About: "a synced batch an append", Module: "github.com/cockroachdb/pebble/v2", Open: openPebble},
		{Name: "pebble-grouped", About: "the same, appends grouped before it", Module: "github.com/cockroachdb/pebble/v2", Open: grouped(openPebble)},
		{Name: "bbolt", About: "a transaction an append", Module: "go.etcd.io/bbolt", Open: openBolt},
		{Name: "bbolt-grouped", About: "the same, appends grouped before it", Module: "go.etcd.io/bbolt", Open: grouped(openBolt)},
		{Name: "sqlite", About: "WAL, synchronous=FULL, a transaction an append", Module: "modernc.org/sqlite", Checks: true, Open: openSQLite},
		{Name: "sqlite-grouped", About: "the same, appends grouped before it", Module: "modernc.org/sqlite", Checks: true, Open: grouped(openSQLite)},
		{Name: "jetstream", About: "NATS JetStream in the process, SyncAlways, expected sequence of the subject", Module: "github.com/nats-io/nats-server/v2", Checks: true, Open: openJetStream},
		{Name: "postgres", About: "a transaction an append, pool of 32", Module: "github.com/jackc/pgx/v5", Checks: true, Open: openPostgres},
		{Name: "postgres-grouped", About: "the same, appends grouped before it", Module: "github.com/jackc/pgx/v5", Checks: true, Open: grouped(openPostgres)},
		{Name: "daybook-postgres", About: "storage/postgres, each append expects the version of its stream", Module: "github.com/jackc/pgx/v5", Checks: true, Open: openDaybookPostgres},
		{Name: "message-db", About: "write_message with expected version, pool of 32", Module: "github.com/jackc/pgx/v5", Checks: true, Open: openMessageDB},
	}
}

// Named returns the contender of that name.
func Named(name string) (Contender, bool) {
	all := All()
	i := slices.IndexFunc(all, func(c Contender) bool { return c.Name == name })
	if i < 0 {
		return Contender{}, false
	}
	return all[i], true
}
