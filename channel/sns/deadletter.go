package sns

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/daybook-go/daybook"
)

// DeadLetter is the note of a message that a topic would not take. The message
// itself stands in the store, which loses nothing.
type DeadLetter struct {
	Kind      Kind                    `json:"dead_letter"`
	Topic     string                  `json:"topic"` // its ARN
	Code      string                  `json:"code"`  // of the service; MESSAGE_TOO_LARGE
	Reason    string                  `json:"reason"`
	Stream    string                  `json:"stream_id"`
	Partition string                  `json:"partition,omitempty"`
	Changeset daybook.ChangesetNumber `json:"changeset_id"`
	// First and Last are the versions of the records that it carried.
	First    daybook.Version  `json:"first_event_id"`
	Last     daybook.Version  `json:"last_event_id"`
	Position daybook.Position `json:"position"` // of the last of them
	AppendID string           `json:"append_id"`
	FailedAt time.Time        `json:"failed_at"`
}

// bury puts a note of a message into the dead-letter queue.
func (c *Channel) bury(ctx context.Context, topic string, m *message, code, reason string) error {
	if c.options.DeadLetters == "" {
		return fmt.Errorf("stream %q, changeset %d cannot be published, and there is no dead-letter queue: %s: %s", m.changeset.Stream, m.changeset.Number, code, reason)
	}
	letter := DeadLetter{
		Kind: m.kind, Topic: topic, Code: code, Reason: reason, Stream: m.changeset.Stream.Name, Partition: m.changeset.Stream.Partition,
		Changeset: m.changeset.Number, First: m.changeset.First, Last: m.record.Version, Position: m.record.Position,
		AppendID: m.changeset.AppendID.String(), FailedAt: c.options.Now().UTC(),
	}
	if m.kind == KindEvent {
		letter.First = m.record.Version
	}
	body, err := json.Marshal(&letter)
	if err != nil {
		return err
	}
	_, err = c.queues.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &c.options.DeadLetters, MessageBody: aws.String(string(body)), MessageGroupId: &m.group, MessageDeduplicationId: aws.String(m.repetition()),
	})
	if err != nil {
		return fmt.Errorf("putting stream %q, changeset %d into the dead-letter queue: %w", m.changeset.Stream, m.changeset.Number, err)
	}
	return nil
}

// republish sends what a dead letter notes again, to its topic.
func (c *Channel) republish(ctx context.Context, store *daybook.Store, letter *DeadLetter) error {
	stream := daybook.StreamID{Partition: letter.Partition, Name: letter.Stream}
	read := daybook.StreamRead{From: letter.First, To: letter.Last}
	for changeset, err := range daybook.Changesets(store.ReadStream(ctx, stream, read)) {
		switch {
		case err != nil:
			return err
		case changeset.Number != letter.Changeset:
			continue
		}
		m := changesetMessage(&changeset)
		if letter.Kind == KindEvent {
			m = eventMessage(&changeset, &changeset.Records[0])
		}
		if size := m.size(); size > c.options.MaxMessage {
			return &daybook.LimitError{Field: fmt.Sprintf("stream %q, changeset %d", stream, letter.Changeset), Value: int64(size), Limit: int64(c.options.MaxMessage), Unit: "bytes"}
		}
		return c.publishOne(ctx, letter.Topic, m)
	}
	return fmt.Errorf("stream %q, changeset %d is not in the store: %w", stream, letter.Changeset, ErrGone)
}
