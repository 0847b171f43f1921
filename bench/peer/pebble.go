package peer

import (
	"context"
	"errors"
	"os"

	"github.com/cockroachdb/pebble/v2"
)

// pebblePeer keeps an event under its stream and version. It has no order over
// all streams.
type pebblePeer struct {
	db   *pebble.DB
	sync *pebble.WriteOptions
}

func openPebble(_ context.Context, place Place) (Peer, error) {
	if err := makeEmpty(place); err != nil {
		return nil, err
	}
	db, err := pebble.Open(place.Dir, &pebble.Options{
		MemTableSize: 64 << 20, // large, so that flushes do not stop writers
		Logger:       silent{},
	})
	if err != nil {
		return nil, err
	}
	sync := pebble.Sync
	if place.Unsynced {
		sync = pebble.NoSync
	}
	return &pebblePeer{db: db, sync: sync}, nil
}

// makeEmpty removes what a place holds, unless that is to be kept, and makes
// the folder.
func makeEmpty(place Place) error {
	if !place.Keep {
		if err := os.RemoveAll(place.Dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(place.Dir, 0o755)
}

// Append implements Peer.
func (p *pebblePeer) Append(_ context.Context, appends ...Append) error {
	batch := p.db.NewBatch()
	var key []byte
	for i := range appends {
		a := &appends[i]
		for j := range a.Events {
			key = streamKey(key[:0], a.Stream, a.First+int64(j))
			if err := batch.Set(key, a.Events[j].Data, nil); err != nil {
				return errors.Join(err, batch.Close())
			}
		}
	}
	err := batch.Commit(p.sync)
	return errors.Join(err, batch.Close())
}

// ReadStream implements Peer.
func (p *pebblePeer) ReadStream(_ context.Context, stream string, visit func(version int64, data []byte) error) (err error) {
	from, to := streamKey(nil, stream, 0), streamKey(nil, stream, -1)
	rows, err := p.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for ok := rows.First(); ok; ok = rows.Next() {
		version, _ := keyVersion(rows.Key(), stream)
		if err := visit(version, rows.Value()); err != nil {
			return err
		}
	}
	return rows.Error()
}

// Close implements Peer.
func (p *pebblePeer) Close() error { return p.db.Close() }

// silent keeps pebble from telling about its flushes.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	pebble.DefaultLogger.Fatalf(format, args...)
}
