package peer

import (
	"context"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// boltPeer keeps an event under its stream and version, in one bucket. It has
// no order over all streams.
type boltPeer struct{ db *bolt.DB }

var boltBucket = []byte("events")

func openBolt(_ context.Context, place Place) (Peer, error) {
	if err := makeEmpty(place); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(place.Dir, "events.bolt"), 0o644, &bolt.Options{
		NoFreelistSync: true, // faster, rebuilt when opening
		FreelistType:   bolt.FreelistMapType,
		NoSync:         place.Unsynced,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(boltBucket)
		return err
	})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &boltPeer{db}, nil
}

// Append implements Peer.
func (p *boltPeer) Append(_ context.Context, appends ...Append) error {
	return p.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(boltBucket)
		for i := range appends {
			a := &appends[i]
			for j := range a.Events {
				// The key must stay as it is until the transaction ends.
				key := streamKey(nil, a.Stream, a.First+int64(j))
				if err := bucket.Put(key, a.Events[j].Data); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// ReadStream implements Peer.
func (p *boltPeer) ReadStream(_ context.Context, stream string, visit func(version int64, data []byte) error) error {
	return p.db.View(func(tx *bolt.Tx) error {
		rows := tx.Bucket(boltBucket).Cursor()
		for key, data := rows.Seek(streamKey(nil, stream, 0)); key != nil; key, data = rows.Next() {
			version, ok := keyVersion(key, stream)
			if !ok {
				break
			}
			if err := visit(version, data); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close implements Peer.
func (p *boltPeer) Close() error {
	if p.db.NoSync {
		if err := p.db.Sync(); err != nil {
			return err
		}
	}
	return p.db.Close()
}
