package sns_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel/sns"
	"github.com/daybook-go/daybook/storage/memory"
)

// broker is SNS and SQS, with a topic and queues of this test only.
type broker struct {
	t      *testing.T
	config aws.Config
	topics *awssns.Client
	queues *sqs.Client
	prefix string
}

func open(t *testing.T) *broker {
	t.Helper()
	endpoint := os.Getenv("DAYBOOK_FAUXQS")
	if endpoint == "" {
		t.Skip(`SKIPPED: no SNS and SQS. Run: eval "$(scripts/services start fauxqs)"`)
	}
	config := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")}
	return &broker{t: t, config: config, topics: awssns.NewFromConfig(config), queues: sqs.NewFromConfig(config), prefix: "t" + daybook.NewID().String()[24:] + "-"}
}

// queue makes a FIFO queue and returns its URL and its ARN.
func (b *broker) queue(name string, attributes map[string]string) (url, arn string) {
	b.t.Helper()
	all := map[string]string{"FifoQueue": "true", "VisibilityTimeout": "120"}
	for key, value := range attributes {
		all[key] = value
	}
	made, err := b.queues.CreateQueue(b.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(b.prefix + name + ".fifo"), Attributes: all})
	if err != nil {
		b.t.Fatal(err)
	}
	told, err := b.queues.GetQueueAttributes(b.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return *made.QueueUrl, told.Attributes["QueueArn"]
}

// topic makes a FIFO topic with a queue that has subscribed to it.
func (b *broker) topic(name, subscriberARN string) string {
	b.t.Helper()
	made, err := b.topics.CreateTopic(b.t.Context(), &awssns.CreateTopicInput{Name: aws.String(b.prefix + name + ".fifo"), Attributes: map[string]string{"FifoTopic": "true"}})
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = b.topics.Subscribe(b.t.Context(), &awssns.SubscribeInput{
		TopicArn: made.TopicArn, Protocol: aws.String("sqs"), Endpoint: &subscriberARN, Attributes: map[string]string{"RawMessageDelivery": "true"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return *made.TopicArn
}

// drain receives and removes all that a queue holds.
func (b *broker) drain(url string) []types.Message {
	b.t.Helper()
	var all []types.Message
	for {
		messages := b.receive(url, 60)
		if len(messages) == 0 {
			return all
		}
		for _, m := range messages {
			if _, err := b.queues.DeleteMessage(b.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				b.t.Fatal(err)
			}
		}
		all = append(all, messages...)
	}
}

func (b *broker) receive(url string, hidden int32) []types.Message {
	b.t.Helper()
	out, err := b.queues.ReceiveMessage(b.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: hidden, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Messages
}

// filled is a store with n changesets of two events in each of some streams, and
// those changesets.
func filled(t *testing.T, streams, n int) (*daybook.Store, []daybook.RecordedChangeset) {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { store.Close() })
	for i := range n {
		for s := range streams {
			events := []daybook.Event{{Type: "a", Data: fmt.Appendf(nil, `{"i":%d}`, 2*i)}, {Type: "b", Data: fmt.Appendf(nil, `{"i":%d}`, 2*i+1)}}
			if _, err := store.Append(t.Context(), daybook.StreamID{Name: fmt.Sprintf("account-%d", s)}, daybook.Expect{}, events...); err != nil {
				t.Fatal(err)
			}
		}
	}
	return store, changesets(t, store)
}

func changesets(t *testing.T, store *daybook.Store) []daybook.RecordedChangeset {
	t.Helper()
	var all []daybook.RecordedChangeset
	for c, err := range daybook.Changesets(store.ReadLog(t.Context(), daybook.LogRead{})) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestSubscribersGetEachStreamInOrderAndNothingTwice(t *testing.T) {
	b := open(t)
	wholeURL, wholeARN := b.queue("whole", nil)
	eventURL, eventARN := b.queue("single", nil)
	channel, err := sns.New(b.config, &sns.Options{ChangesetTopic: b.topic("changesets", wholeARN), EventTopic: b.topic("events", eventARN)})
	if err != nil {
		t.Fatal(err)
	}
	_, all := filled(t, 12, 4)
	for range 2 { // the second time all of it is a repeat
		if err := channel.Publish(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	numbers := map[string][]int64{}
	for _, m := range b.drain(wholeURL) {
		var body struct {
			Stream    string            `json:"stream_id"`
			Changeset int64             `json:"changeset_id"`
			Events    []json.RawMessage `json:"events"`
		}
		if err := json.Unmarshal([]byte(*m.Body), &body); err != nil || len(body.Events) != 2 {
			t.Fatalf("a message is %s: %v", *m.Body, err)
		}
		if got := aws.ToString(m.MessageAttributes["stream_type"].StringValue); got != "account" {
			t.Fatalf("its attribute stream_type is %q", got)
		}
		if got, want := m.Attributes["MessageGroupId"], sns.GroupID(daybook.StreamID{Name: body.Stream}); got != want {
			t.Fatalf("its group is %s, want %s", got, want)
		}
		numbers[body.Stream] = append(numbers[body.Stream], body.Changeset)
	}
	for s := range 12 {
		if got := numbers[fmt.Sprintf("account-%d", s)]; !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("stream %d came as changesets %v", s, got)
		}
	}
	events := map[string][]int64{}
	for _, m := range b.drain(eventURL) {
		var body struct {
			Stream string `json:"stream_id"`
			Event  int64  `json:"event_id"`
		}
		if err := json.Unmarshal([]byte(*m.Body), &body); err != nil {
			t.Fatal(err)
		}
		events[body.Stream] = append(events[body.Stream], body.Event)
	}
	for s := range 12 {
		if got := events[fmt.Sprintf("account-%d", s)]; !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6, 7, 8}) {
			t.Errorf("stream %d came as events %v", s, got)
		}
	}
}

func TestWhatATopicDoesNotTakeIsNotedAndCanBeReplayed(t *testing.T) {
	b := open(t)
	subscriber, arn := b.queue("subscriber", nil)
	dead, _ := b.queue("dead", nil)
	topic := b.topic("changesets", arn)
	store, _ := filled(t, 1, 2)
	large := daybook.Event{Type: "large", Data: []byte(`"` + strings.Repeat("x", 4000) + `"`)}
	stream := daybook.StreamID{Name: "account-0"}
	if _, err := store.Append(t.Context(), stream, daybook.Expect{}, large); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), stream, daybook.Expect{}, daybook.Event{Type: "after"}); err != nil {
		t.Fatal(err)
	}
	narrow, err := sns.New(b.config, &sns.Options{ChangesetTopic: topic, DeadLetters: dead, MaxMessage: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if err := narrow.Publish(t.Context(), changesets(t, store)); err != nil {
		t.Fatal(err)
	}
	if got := len(b.drain(subscriber)); got != 3 {
		t.Fatalf("%d messages arrived, want 3: all but the large one", got)
	}
	queue := sns.OpenQueue(b.config, dead)
	letters, err := queue.Look(t.Context(), 10)
	if err != nil || len(letters) != 1 || letters[0].Note == nil {
		t.Fatalf("the dead letters are %+v, %v", letters, err)
	}
	note := letters[0].Note
	if note.Stream != "account-0" || note.Changeset != 3 || note.First != 5 || note.Last != 5 || note.Code != "MESSAGE_TOO_LARGE" || note.Topic != topic {
		t.Errorf("the note is %+v", note)
	}

	// Refused again it stays, and once there is room it goes.
	var told []sns.Replayed
	tell := func(r sns.Replayed) { told = append(told, r) }
	if err := queue.Replay(t.Context(), store, narrow, "", 0, nil, tell); err != nil {
		t.Fatal(err)
	}
	if err := queue.Replay(t.Context(), store, sns.NewReplayer(b.config), "", 0, []string{letters[0].ID}, tell); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || told[0].Err == nil || told[1].Err != nil {
		t.Fatalf("the replays ended so: %+v", told)
	}
	if got := b.drain(subscriber); len(got) != 1 || !strings.Contains(*got[0].Body, "xxxx") {
		t.Errorf("%d messages arrived by replay, want the large one", len(got))
	}
	if count, err := queue.Count(t.Context()); err != nil || count != 0 {
		t.Errorf("the queue holds %d, %v", count, err)
	}
}

func TestWhatASubscriberFailsOnCanBeReplayedInOrder(t *testing.T) {
	b := open(t)
	dead, deadARN := b.queue("dead", nil)
	subscriber, arn := b.queue("subscriber", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"1"}`, deadARN)})
	channel, err := sns.New(b.config, &sns.Options{EventTopic: b.topic("events", arn)})
	if err != nil {
		t.Fatal(err)
	}
	store, all := filled(t, 2, 2)
	if err := channel.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	queue := sns.OpenQueue(b.config, dead)
	deadline := time.Now().Add(time.Minute)
	for count := 0; count < 8; { // the subscriber receives, and lets go
		if time.Now().After(deadline) {
			t.Fatalf("%d of 8 messages have reached the dead-letter queue", count)
		}
		for _, m := range b.receive(subscriber, 60) {
			in := &sqs.ChangeMessageVisibilityInput{QueueUrl: &subscriber, ReceiptHandle: m.ReceiptHandle}
			if _, err := b.queues.ChangeMessageVisibility(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		if count, err = queue.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if letters, err := queue.Look(t.Context(), 100); err != nil || len(letters) == 0 || letters[0].Note != nil {
		t.Fatalf("the dead letters are %+v, %v", letters, err)
	}
	if err := queue.Replay(t.Context(), store, channel, "", 1, nil, func(r sns.Replayed) {
		if r.Err == nil {
			t.Error("a message of a subscriber was replayed to nowhere")
		}
	}); err != nil {
		t.Fatal(err)
	}
	sent := 0
	if err := queue.Replay(t.Context(), nil, nil, subscriber, 0, nil, func(r sns.Replayed) {
		if r.Err != nil {
			t.Error(r.Err)
		}
		sent++
	}); err != nil {
		t.Fatal(err)
	}
	events := map[string][]int64{}
	for _, m := range b.drain(subscriber) {
		var body struct {
			Stream string `json:"stream_id"`
			Event  int64  `json:"event_id"`
		}
		if err := json.Unmarshal([]byte(*m.Body), &body); err != nil {
			t.Fatal(err)
		}
		events[body.Stream] = append(events[body.Stream], body.Event)
	}
	for s := range 2 {
		if got := events[fmt.Sprintf("account-%d", s)]; sent != 8 || !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("%d were sent, stream %d came as events %v", sent, s, got)
		}
	}
}
