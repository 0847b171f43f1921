package aggregate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/daybook-go/daybook"
)

// SnapshotStreamType is the type of the streams that StreamSnapshots writes.
const SnapshotStreamType = "$snapshot"

// snapshotEventType is the type of their events.
const snapshotEventType = "$snapshot"

// lookBack is how many records StreamSnapshots looks at to find one of a name
// where no bound says which.
const lookBack = 8

// StreamSnapshots keeps snapshots on a store as events. Those of the stream
// "account-ann" are the records of "$snapshot-account-ann" in the same
// partition, one each; a name that becomes too long ends with a hash instead.
// Whoever reads the whole log meets them, as events of type "$snapshot".
//
// They are kept until something removes them: daybook.Retain with a rule for
// the stream type SnapshotStreamType keeps the newest.
func StreamSnapshots(store *daybook.Store) SnapshotStore { return streamSnapshots{store} }

type streamSnapshots struct{ store *daybook.Store }

// snapshotHeader is the metadata of a record that holds a snapshot.
type snapshotHeader struct {
	Version     daybook.Version  `json:"version"`
	Position    daybook.Position `json:"position"`
	RecordedAt  time.Time        `json:"recorded_at"`
	Fingerprint string           `json:"fingerprint"`
}

// SnapshotStream returns the stream that StreamSnapshots keeps the snapshots
// of a stream in.
func SnapshotStream(of daybook.StreamID) daybook.StreamID {
	name := SnapshotStreamType + "-" + of.Name
	if len(name) > daybook.MaxNameLen {
		sum := sha256.Sum256([]byte(of.Name))
		name = SnapshotStreamType + "-" + hex.EncodeToString(sum[:])
	}
	return daybook.StreamID{Partition: of.Partition, Name: name}
}

// Save implements SnapshotStore.
func (s streamSnapshots) Save(ctx context.Context, snapshot Snapshot) error {
	header, err := json.Marshal(snapshotHeader{
		Version: snapshot.Version, Position: snapshot.Position, RecordedAt: snapshot.RecordedAt, Fingerprint: snapshot.Fingerprint,
	})
	if err != nil {
		return err
	}
	_, err = s.store.Append(ctx, SnapshotStream(snapshot.Stream), daybook.ExpectAny(), daybook.Event{
		Type: snapshotEventType, ContentType: snapshot.ContentType, Data: snapshot.Data,
		Context: daybook.Context{Schema: snapshot.Name, Metadata: header},
	})
	return err
}

// Newest implements SnapshotStore.
func (s streamSnapshots) Newest(ctx context.Context, stream daybook.StreamID, name string, asOf AsOf) (*Snapshot, error) {
	read := daybook.StreamRead{Backwards: true, Borrow: true}
	if asOf == (AsOf{}) {
		read.Limit = lookBack
	}
	for record, err := range s.store.ReadStream(ctx, SnapshotStream(stream), read) {
		if err != nil {
			return nil, err
		}
		var header snapshotHeader
		if record.Context.Schema != name || json.Unmarshal(record.Context.Metadata, &header) != nil || !asOf.holds(header.Version, header.RecordedAt) {
			continue
		}
		own := record.Clone()
		return &Snapshot{
			Stream: stream, Name: name, Version: header.Version, Position: header.Position, RecordedAt: header.RecordedAt,
			Fingerprint: header.Fingerprint, ContentType: own.ContentType, Data: own.Data,
		}, nil
	}
	return nil, nil
}

// Forget implements SnapshotStore.
func (s streamSnapshots) Forget(ctx context.Context, stream daybook.StreamID, d daybook.Deletion) error {
	_, err := s.store.DeleteStream(ctx, daybook.Deletion{
		Stream: SnapshotStream(stream), Scrub: d.Scrub, Who: d.Who, Why: d.Why,
	})
	if errors.Is(err, daybook.ErrUnsupported) {
		// What cannot be deleted never was: then the events cannot either, and
		// that is said by who deletes them.
		return nil
	}
	return err
}
