package cosmos

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/daybook-go/daybook"
)

// item is an item of ours, which Finaps's library knows nothing of: everything
// is in one property.
type item[T any] struct {
	ID          string      `json:"id"`
	PartitionID string      `json:"PartitionId"`
	ETag        azcore.ETag `json:"_etag,omitempty"`
	Daybook     T           `json:"Daybook"`
}

// headBody is where a partition ends. Every append to the partition replaces
// it under its ETag, so that all of them have one order. That of the default
// partition is where the log ends.
type headBody struct {
	Item      string `json:"Item"` // "head"
	Partition string `json:"Partition"`
	Places    int64  `json:"Places"`  // how many records the partition has
	Turns     int64  `json:"Turns"`   // how many changesets
	Streams   int64  `json:"Streams"` // how many streams
	Longest   int64  `json:"Longest"` // the highest changeset number of a stream
	Fences    int64  `json:"Fences,omitempty"`

	Log *logBody `json:"Log,omitempty"` // in the default partition only
}

// logBody is where the log ends.
type logBody struct {
	Position   daybook.Position `json:"Position"`
	Ordinal    daybook.Ordinal  `json:"Ordinal"`
	RecordedAt time.Time        `json:"RecordedAt"`
	Streams    int64            `json:"Streams"`
	Longest    int64            `json:"Longest"`
	Hold       *holdBody        `json:"Hold,omitempty"`
}

// holdBody keeps the log where it is until the append of a condition to another
// partition was stored, or cannot be any more.
type holdBody struct {
	Partition string      `json:"Partition"`
	Append    daybook.ID  `json:"Append"`
	ETag      azcore.ETag `json:"ETag"` // of the head of the partition; "" where it has none
}

// streamBody is where a stream ends.
type streamBody struct {
	Item          string                  `json:"Item"` // "stream"
	Name          string                  `json:"Name"`
	Sort          string                  `json:"Sort"`
	AggregateType string                  `json:"AggregateType"`
	AggregateID   string                  `json:"AggregateId"`
	First         daybook.Version         `json:"First"`
	Version       daybook.Version         `json:"Version"`
	Changeset     daybook.ChangesetNumber `json:"Changeset"`
	Commit        int64                   `json:"Commit,omitempty"` // place at which the commit of the last record began
	Place         int64                   `json:"Place,omitempty"`  // of the last record
	Position      daybook.Position        `json:"Position,omitempty"`
	RecordedAt    *time.Time              `json:"RecordedAt,omitempty"`
}

// head returns where the stream ends; outside of the default partition without
// position and time.
func (s *streamBody) head() daybook.Head {
	if s == nil {
		return daybook.Head{}
	}
	h := daybook.Head{Version: s.Version, Changeset: s.Changeset, First: s.First, Position: s.Position}
	if s.RecordedAt != nil {
		h.RecordedAt = s.RecordedAt.UTC()
	}
	return h
}

// appendBody makes an append known by its id.
type appendBody struct {
	Item       string               `json:"Item"` // "append"
	Partition  string               `json:"Partition"`
	Commit     int64                `json:"Commit,omitempty"`
	RecordedAt *time.Time           `json:"RecordedAt,omitempty"` // in the default partition
	Changesets []appendedChangesets `json:"Changesets,omitempty"`
}

// appendedChangesets is one changeset of an append: where its first record is,
// and which changeset of the partition it is; of the log, in the default one.
type appendedChangesets struct {
	Stream string                  `json:"Stream"`
	Number daybook.ChangesetNumber `json:"Number"`
	First  daybook.Version         `json:"First"`
	Count  int                     `json:"Count"`
	Place  int64                   `json:"Place"`
	Turn   int64                   `json:"Turn"`
}

// claimBody says who holds a claim.
type claimBody struct {
	Item   string `json:"Item"` // "claim"
	Kind   string `json:"Kind"`
	Value  string `json:"Value"`
	Holder string `json:"Holder"`
}

// entryBody puts a commit of another partition into the log.
type entryBody struct {
	Item       string           `json:"Item"` // "entry"
	Of         string           `json:"Of"`
	Place      int64            `json:"Place"` // of the first record
	Turn       int64            `json:"Turn"`  // of the first changeset
	Count      int64            `json:"Count"`
	Turns      int64            `json:"Turns"`
	Position   daybook.Position `json:"Position"` // of the last record
	Ordinal    daybook.Ordinal  `json:"Ordinal"`  // of the first changeset
	RecordedAt time.Time        `json:"RecordedAt"`
}

// position returns the position of the record at a place.
func (e *entryBody) position(place int64) daybook.Position {
	return e.Position - daybook.Position(e.Count-1) + daybook.Position(place-e.Place)
}

// ordinal returns the ordinal of a changeset of the partition.
func (e *entryBody) ordinal(turn int64) daybook.Ordinal {
	return e.Ordinal + daybook.Ordinal(turn-e.Turn)
}

// placedBody says how much of a partition is in the log.
type placedBody struct {
	Item    string `json:"Item"` // "partition"
	Of      string `json:"Of"`
	Sort    string `json:"Sort"`
	Places  int64  `json:"Places"`
	Turns   int64  `json:"Turns"`
	Streams int64  `json:"Streams"`
	Longest int64  `json:"Longest"`
}

// jsonOf writes a value that always can be written.
func jsonOf(value any) []byte {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// itemOf writes an item of ours.
func itemOf[T any](id, partition string, body T) []byte {
	return jsonOf(item[T]{ID: id, PartitionID: partitionID(partition), Daybook: body})
}
