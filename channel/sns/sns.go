// Package sns is the channel to FIFO topics of Amazon SNS: changesets to one,
// single events to another, in the shapes and groups of the Elastic Event Store.
//
// [New] makes a [Channel] of an SDK configuration; channel.Relay feeds it.
// Messages of a stream arrive in order. Repeats, which every delivery at least
// once has, carry the same deduplication id, and are dropped by a topic within
// its five minutes. What a topic will never take goes to a dead-letter queue,
// as a note of what and where it is; [Queue] lists and replays those, and the
// messages that subscribers' queues put into theirs.
package sns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/daybook-go/daybook"
)

// Options of a Channel. Nil and zero fields mean the defaults.
type Options struct {
	// ChangesetTopic and EventTopic are the ARNs of FIFO topics. At least one
	// must be given; the other kind is then not published.
	ChangesetTopic string
	EventTopic     string
	// DeadLetters is the URL of an SQS FIFO queue that takes notes of what
	// cannot be published. Without one, Publish fails on such a message, each
	// time.
	DeadLetters string
	// Attempts is how often a message is sent that the service could not take
	// for reasons of its own, before Publish fails. Default 8.
	Attempts int
	// MaxMessage bounds a message, and what is sent at once, in bytes. Default
	// 262,144, the limit of the service.
	MaxMessage int
	// Now is the clock of dead letters. Default time.Now.
	Now func() time.Time
	// Sleep waits between two attempts, or until ctx ends. Default: a timer,
	// from 50 ms, doubled each time, up to 5 s, with jitter.
	Sleep func(ctx context.Context, attempt int) error
}

// fill puts the defaults where nothing is given.
func (o *Options) fill() {
	o.Attempts = cmp.Or(max(o.Attempts, 0), 8)
	o.MaxMessage = cmp.Or(max(o.MaxMessage, 0), 256<<10)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = pause
	}
}

// Channel publishes to topics. It may be used by many goroutines at once.
type Channel struct {
	topics  *sns.Client
	queues  *sqs.Client
	options Options
}

// NewReplayer returns a channel that publishes only what dead letters note, to the
// topics that stand in them.
func NewReplayer(config aws.Config) *Channel {
	c := &Channel{topics: sns.NewFromConfig(config), queues: sqs.NewFromConfig(config)}
	c.options.fill()
	return c
}

// New returns a channel to the topics that options name. Nothing is sent.
// *daybook.InvalidError when what they name are no FIFO topics or queue.
func New(config aws.Config, options *Options) (*Channel, error) {
	var o Options
	if options != nil {
		o = *options
	}
	o.fill()
	if o.ChangesetTopic == "" && o.EventTopic == "" {
		return nil, &daybook.InvalidError{Field: "topics", Value: "none", Reason: "a topic for changesets, for events, or both must be given"}
	}
	for _, name := range []struct{ field, value string }{
		{"changeset topic", o.ChangesetTopic}, {"event topic", o.EventTopic}, {"dead letters", o.DeadLetters},
	} {
		if name.value != "" && !strings.HasSuffix(name.value, ".fifo") {
			return nil, &daybook.InvalidError{Field: name.field, Value: name.value, Reason: "must be FIFO: its name ends with .fifo"}
		}
	}
	return &Channel{topics: sns.NewFromConfig(config), queues: sqs.NewFromConfig(config), options: o}, nil
}

// Publish implements channel.Channel: each changeset to the one topic, and each
// of its events to the other.
func (c *Channel) Publish(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	var whole, single []*message
	for i := range changesets {
		if c.options.ChangesetTopic != "" {
			whole = append(whole, changesetMessage(&changesets[i]))
		}
		if c.options.EventTopic == "" {
			continue
		}
		for j := range changesets[i].Records {
			single = append(single, eventMessage(&changesets[i], &changesets[i].Records[j]))
		}
	}
	if err := c.send(ctx, c.options.ChangesetTopic, whole); err != nil {
		return err
	}
	return c.send(ctx, c.options.EventTopic, single)
}

// send publishes messages to a topic.
//
// Of a group one message is sent at a time: of two in one request the first may
// fail and the second be taken, and then no later attempt brings them in order
// again. So a request carries up to ten messages of as many streams.
func (c *Channel) send(ctx context.Context, topic string, messages []*message) error {
	fruitless := 0
	for len(messages) > 0 {
		batch := c.batch(messages)
		done, err := c.attempt(ctx, topic, batch)
		if len(done) == 0 {
			if fruitless++; fruitless >= c.options.Attempts {
				return fmt.Errorf("publishing to %s: not taken in %d attempts: %w", topic, fruitless, err)
			}
			if err := c.options.Sleep(ctx, fruitless); err != nil {
				return fmt.Errorf("publishing to %s: %w", topic, err)
			}
			continue
		}
		fruitless = 0
		left := messages[:0]
		for _, m := range messages {
			if !done[m] {
				left = append(left, m)
			}
		}
		messages = left
	}
	return nil
}

// largestBatch is how many messages one request may carry.
const largestBatch = 10

// batch returns the first message of each group, as many as one request takes.
func (c *Channel) batch(messages []*message) []*message {
	var batch []*message
	bytes, passed := 0, map[string]bool{}
	for _, m := range messages {
		if passed[m.group] {
			continue
		}
		passed[m.group] = true
		size := m.size()
		if len(batch) > 0 && bytes+size > c.options.MaxMessage {
			continue
		}
		batch, bytes = append(batch, m), bytes+size
		if len(batch) == largestBatch {
			break
		}
	}
	return batch
}

// attempt sends a batch once. It returns which messages are done with: taken,
// or put into the dead-letter queue; and why the last of the others is not.
func (c *Channel) attempt(ctx context.Context, topic string, batch []*message) (done map[*message]bool, err error) {
	done = map[*message]bool{}
	if m := batch[0]; m.size() > c.options.MaxMessage {
		reason := fmt.Sprintf("%d bytes, the limit is %d", m.size(), c.options.MaxMessage)
		if err := c.bury(ctx, topic, m, "MESSAGE_TOO_LARGE", reason); err != nil {
			return done, err
		}
		done[m] = true
		return done, nil
	}
	in := &sns.PublishBatchInput{TopicArn: &topic}
	for i, m := range batch {
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, types.PublishBatchRequestEntry{
			Id: aws.String(fmt.Sprint(i)), Message: &m.body, MessageGroupId: &m.group,
			MessageDeduplicationId: aws.String(m.repetition()), MessageAttributes: topicAttributes(m.attributes()),
		})
	}
	out, err := c.topics.PublishBatch(ctx, in)
	if err != nil {
		return done, c.sendOne(ctx, topic, batch, done, err)
	}
	for _, taken := range out.Successful {
		if m := named(batch, taken.Id); m != nil {
			done[m] = true
		}
	}
	for _, failed := range out.Failed {
		m := named(batch, failed.Id)
		if m == nil {
			continue
		}
		err = fmt.Errorf("%s: %s", aws.ToString(failed.Code), aws.ToString(failed.Message))
		if failed.SenderFault {
			if err = c.bury(ctx, topic, m, aws.ToString(failed.Code), aws.ToString(failed.Message)); err == nil {
				done[m] = true
			}
		}
	}
	return done, err
}

// sendOne looks for the message for whose sake the service has refused a whole
// request. Where one alone is refused, it is buried.
func (c *Channel) sendOne(ctx context.Context, topic string, batch []*message, done map[*message]bool, refusal error) error {
	if !isPoison(refusal) {
		return refusal
	}
	for _, m := range batch {
		err := c.publishOne(ctx, topic, m)
		if isPoison(err) {
			var said smithy.APIError
			errors.As(err, &said)
			err = c.bury(ctx, topic, m, said.ErrorCode(), said.ErrorMessage())
		}
		if err != nil {
			return err
		}
		done[m] = true
	}
	return nil
}

// publishOne sends one message by itself.
func (c *Channel) publishOne(ctx context.Context, topic string, m *message) error {
	_, err := c.topics.Publish(ctx, &sns.PublishInput{
		TopicArn: &topic, Message: &m.body, MessageGroupId: &m.group,
		MessageDeduplicationId: aws.String(m.repetition()), MessageAttributes: topicAttributes(m.attributes()),
	})
	return err
}

// isPoison reports whether a service refuses what was sent for what it is: to
// send it again cannot help.
func isPoison(err error) bool {
	var said smithy.APIError
	if !errors.As(err, &said) {
		return false
	}
	switch said.ErrorCode() {
	case "InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "BatchRequestTooLong", "InvalidMessageContents":
		return true
	}
	return false
}

// named returns the message that a reply names.
func named(batch []*message, id *string) *message {
	for i, m := range batch {
		if fmt.Sprint(i) == aws.ToString(id) {
			return m
		}
	}
	return nil
}

func topicAttributes(attributes map[string]string) map[string]types.MessageAttributeValue {
	values := map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		values[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	return values
}

// pause waits before another attempt: full jitter below a bound that doubles.
func pause(ctx context.Context, attempt int) error {
	bound := min(50*time.Millisecond<<min(attempt-1, 10), 5*time.Second)
	timer := time.NewTimer(rand.N(bound) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
