package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook/channel"
)

// streamRecord is a record of a DynamoDB stream, as far as it counts here.
type streamRecord struct {
	EventSource string `json:"eventSource"`
	Change      struct {
		SequenceNumber string `json:"SequenceNumber"`
	} `json:"dynamodb"`
}

// batchReply tells Lambda from which record on a batch is to be handed in again.
type batchReply struct {
	Failures []batchFailure `json:"batchItemFailures"`
}

type batchFailure struct {
	Identifier string `json:"itemIdentifier"`
}

// changed deals with a batch of changes of the table: first the order of the
// log is brought up to date, then what is new is published.
func (f *Function) changed(ctx context.Context, payload []byte, records []streamRecord) ([]byte, error) {
	failed := -1
	if f.indexer != nil && f.plays(RoleIndexer) {
		failed = f.index(ctx, payload, len(records))
	}
	if f.options.Publish != nil && f.plays(RolePublisher) {
		// The batch only says that there is something: what, and in which order,
		// the log tells. So whatever is left begins with the first record.
		whole, err := f.publish(ctx)
		if err != nil {
			f.options.Logger.Error("publishing", "error", err)
		}
		if !whole {
			failed = 0
		}
	}
	reply := batchReply{Failures: []batchFailure{}}
	if failed >= 0 {
		reply.Failures = append(reply.Failures, batchFailure{records[failed].Change.SequenceNumber})
	}
	return json.Marshal(reply)
}

// index hands a batch to the storage. It returns the place of the first record
// that the storage could not deal with, -1 if there is none.
func (f *Function) index(ctx context.Context, payload []byte, records int) int {
	taken, err := f.indexer.Index(ctx, payload)
	if err == nil {
		f.options.Logger.Debug("indexed", "records", records, "changesets", taken)
		return -1
	}
	f.options.Logger.Warn("indexing a batch: its records are tried one by one", "records", records, "error", err)
	var each struct{ Records []json.RawMessage }
	if err := json.Unmarshal(payload, &each); err != nil {
		return 0
	}
	for i, record := range each.Records {
		one, err := json.Marshal(map[string][]json.RawMessage{"Records": {record}})
		if err == nil {
			_, err = f.indexer.Index(ctx, one)
		}
		if err != nil {
			f.options.Logger.Error("indexing", "record", i, "error", err)
			return i
		}
	}
	return -1
}

// publish publishes what stands behind the checkpoint, and reports whether that
// was all.
func (f *Function) publish(ctx context.Context) (whole bool, err error) {
	o := &f.options
	reached, whole, err := channel.Relay(ctx, f.store, o.Publish, o.Checkpoints, o.Publisher, &channel.Options{Margin: margin, Now: o.Now})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: give the function more time", err)
		}
		return false, fmt.Errorf("at position %d: %w", reached, err)
	}
	o.Logger.Debug("published", "to", reached, "whole", whole)
	return whole, nil
}
