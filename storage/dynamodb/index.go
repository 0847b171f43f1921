package dynamodb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// streamEvent is what AWS Lambda hands to a function that a stream of the table
// starts, as far as it counts here.
type streamEvent struct {
	Records []struct {
		EventName string `json:"eventName"`
		Change    struct {
			Keys     map[string]streamValue `json:"Keys"`
			NewImage map[string]streamValue `json:"NewImage"`
		} `json:"dynamodb"`
	} `json:"Records"`
}

type streamValue struct {
	S *string `json:"S"`
}

// Index does what EES's indexer did, started by the same stream of the table
// (DynamoDB Streams with new images): it takes into the log the changesets that
// EES's own code has written. Changesets of ours, whose place in the order is
// given when they are written, and all other rows, are passed over, without a
// request. It returns how many were taken in.
//
// The event is what AWS Lambda hands to such a function, as JSON. A batch that
// failed may be handed in again, whole.
func (d *Driver) Index(ctx context.Context, event []byte) (changesets int, err error) {
	var decoded streamEvent
	if err := json.Unmarshal(event, &decoded); err != nil {
		return 0, &daybook.InvalidError{Field: "event", Value: fmt.Sprintf("%d bytes", len(event)), Reason: "must be a batch of records of DynamoDB Streams: " + err.Error()}
	}
	var streams []daybook.StreamID
	for i, record := range decoded.Records {
		key := record.Change.Keys[attrStream].S
		if key == nil {
			return 0, &daybook.InvalidError{Field: fmt.Sprintf("event.Records[%d].dynamodb.Keys", i), Value: "", Reason: "must have the key " + attrStream}
		}
		if record.EventName == "REMOVE" {
			continue
		}
		image := record.Change.NewImage
		_, written := image[attrFirstEvent]
		_, ours := image[attrDaybook]
		if image != nil && (!written || ours) {
			continue
		}
		if id, is := streamOf(*key); is && !slices.Contains(streams, id) {
			streams = append(streams, id)
		}
	}
	if len(streams) == 0 {
		return 0, nil
	}
	return d.Adopt(ctx, streams...)
}
