package sns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/daybook-go/daybook"
)

// ErrGone is matched when what a dead letter notes was deleted from the store.
var ErrGone = errors.New("it was deleted")

// Queue is an SQS queue that holds dead letters: notes of a Channel, or messages
// that the queue of a subscriber has put there after they failed too often.
type Queue struct {
	url    string
	queues *sqs.Client
	topics *sns.Client
	hidden time.Duration // how long what was received stays out of sight of others
}

// OpenQueue returns the queue at a URL. Nothing is sent.
func OpenQueue(config aws.Config, url string) *Queue {
	return &Queue{url: url, queues: sqs.NewFromConfig(config), topics: sns.NewFromConfig(config), hidden: 2 * time.Minute}
}

// Letter is a message of a dead-letter queue.
type Letter struct {
	ID       string // of the message
	Group    string
	SentAt   time.Time
	Received int // how often it was, this time included
	Body     string
	// Note is what a Channel says of it; nil of the message of a subscriber.
	Note *DeadLetter

	receipt    string
	attributes map[string]types.MessageAttributeValue
}

// Count returns about how many letters the queue holds.
func (q *Queue) Count(ctx context.Context) (int, error) {
	name := types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out.Attributes[string(name)])
}

// Look returns letters and leaves them where they are: the first ones of each
// group, limit at most; what stands behind them a FIFO queue does not show.
// Others do not see those letters meanwhile.
func (q *Queue) Look(ctx context.Context, limit int) (letters []Letter, err error) {
	defer func() {
		for i := range letters {
			err = errors.Join(err, q.giveBack(ctx, &letters[i]))
		}
	}()
	for len(letters) < limit {
		more, err := q.receive(ctx, limit-len(letters))
		if err != nil || len(more) == 0 {
			return letters, err
		}
		letters = append(letters, more...)
	}
	return letters, nil
}

// Replayed says what became of a letter.
type Replayed struct {
	Letter Letter
	Err    error // why it was left in the queue
}

// Replay sends letters again, each to where it failed, and removes from the
// queue what was taken; tell is called for each. A note of a Channel is
// published to its topic, from store; any other message goes to the queue (a
// URL) or topic (an ARN) that to names, which must be given for such. Letters
// whose group has one that cannot be sent are left, so that the order stays.
//
// It ends when there are no more, after limit letters (0: all), or when ids is
// not empty and the letters with those ids were sent. An error is that of the
// queue itself.
func (q *Queue) Replay(ctx context.Context, store *daybook.Store, channel *Channel, to string, limit int, ids []string, tell func(Replayed)) error {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	var kept []Letter
	defer func() {
		for i := range kept {
			_ = q.giveBack(context.WithoutCancel(ctx), &kept[i]) // it comes back by itself, later
		}
	}()
	stuck := map[string]bool{}
	for replayed := 0; limit == 0 || replayed < limit; {
		letters, err := q.receive(ctx, largestBatch)
		if err != nil || len(letters) == 0 {
			return err
		}
		for i := range letters {
			letter := letters[i]
			if stuck[letter.Group] || len(ids) > 0 && !wanted[letter.ID] || limit > 0 && replayed >= limit {
				stuck[letter.Group] = true
				kept = append(kept, letter)
				continue
			}
			err := q.resend(ctx, store, channel, to, &letter)
			if err == nil {
				err = q.remove(ctx, &letter)
			}
			if err != nil {
				stuck[letter.Group] = true
				kept = append(kept, letter)
			}
			replayed++
			delete(wanted, letter.ID)
			tell(Replayed{Letter: letter, Err: err})
		}
		if len(ids) > 0 && len(wanted) == 0 {
			return nil
		}
	}
	return nil
}

// resend sends a letter to where it belongs.
func (q *Queue) resend(ctx context.Context, store *daybook.Store, channel *Channel, to string, letter *Letter) error {
	// A message that fails again and is replayed again has another id by then.
	repetition := "replay-" + letter.ID
	switch {
	case letter.Note != nil:
		return channel.republish(ctx, store, letter.Note)
	case to == "":
		return &daybook.InvalidError{Field: "to", Value: "nothing", Reason: "this message is no note of a publisher: say where it is to go"}
	case strings.HasPrefix(to, "arn:"):
		attributes := map[string]snstypes.MessageAttributeValue{}
		for name, value := range letter.attributes {
			attributes[name] = snstypes.MessageAttributeValue{DataType: value.DataType, StringValue: value.StringValue, BinaryValue: value.BinaryValue}
		}
		in := &sns.PublishInput{TopicArn: &to, Message: &letter.Body, MessageAttributes: attributes}
		if strings.HasSuffix(to, ".fifo") {
			in.MessageGroupId, in.MessageDeduplicationId = &letter.Group, &repetition
		}
		_, err := q.topics.Publish(ctx, in)
		return err
	}
	in := &sqs.SendMessageInput{QueueUrl: &to, MessageBody: &letter.Body, MessageAttributes: letter.attributes}
	if strings.HasSuffix(to, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = &letter.Group, &repetition
	}
	_, err := q.queues.SendMessage(ctx, in)
	return err
}

// receive takes letters, out of the sight of others for a while.
func (q *Queue) receive(ctx context.Context, limit int) ([]Letter, error) {
	out, err := q.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: int32(min(max(limit, 1), largestBatch)), VisibilityTimeout: int32(q.hidden / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receiving from %s: %w", q.url, err)
	}
	var letters []Letter
	for _, m := range out.Messages {
		sent, _ := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
		received, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		letter := Letter{
			ID: aws.ToString(m.MessageId), Group: m.Attributes["MessageGroupId"], SentAt: time.UnixMilli(sent).UTC(), Received: received,
			Body: aws.ToString(m.Body), receipt: aws.ToString(m.ReceiptHandle), attributes: m.MessageAttributes,
		}
		var note DeadLetter
		if json.Unmarshal([]byte(letter.Body), &note) == nil && (note.Kind == KindChangeset || note.Kind == KindEvent) {
			letter.Note = &note
		}
		letters = append(letters, letter)
	}
	return letters, nil
}

func (q *Queue) giveBack(ctx context.Context, letter *Letter) error {
	_, err := q.queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q.url, ReceiptHandle: &letter.receipt, VisibilityTimeout: 0})
	return err
}

func (q *Queue) remove(ctx context.Context, letter *Letter) error {
	_, err := q.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &letter.receipt})
	return err
}
