package lambda_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel"
	"github.com/daybook-go/daybook/hosting/lambda"
)

// checkpointTable makes a table for checkpoints.
func checkpointTable(t *testing.T) (config aws.Config, endpoint, table string) {
	t.Helper()
	endpoint = os.Getenv("DAYBOOK_DYNAMODB")
	if endpoint == "" {
		t.Skip(`SKIPPED: no DynamoDB. Run: eval "$(scripts/services start dynoxide)"`)
	}
	config = aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")}
	table = "checkpoints-" + daybook.NewID().String()
	_, err := dynamodb.NewFromConfig(config).CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("name"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("name"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config, endpoint, table
}

func TestACheckpointMovesOnlyFromWhereItIs(t *testing.T) {
	config, _, table := checkpointTable(t)
	kept := lambda.NewCheckpoints(config, table)
	for _, step := range []struct {
		from, to, at daybook.Position
		moved        bool
	}{{5, 6, 0, true}, {0, 7, 7, false}, {0, 9, 7, true}, {7, 9, 9, false}, {7, 9, 9, false}, {7, 8, 9, true}} {
		err := kept.Save(t.Context(), "p", step.from, step.to)
		if (err != nil) != step.moved || err != nil && err.Error() != channel.ErrMoved.Error() {
			t.Errorf("from %d to %d: %v", step.from, step.to, err)
		}
		if at, err := kept.Load(t.Context(), "p"); err != nil || at != step.at {
			t.Errorf("after from %d to %d it is at %d, %v, want %d", step.from, step.to, at, err, step.at)
		}
	}
	if at, err := kept.Load(t.Context(), "other"); err != nil || at != 0 {
		t.Errorf("a checkpoint that was never saved is at %d, %v", at, err)
	}
}

func TestTheShippedProgramPublishesWhatItStores(t *testing.T) {
	broker := os.Getenv("DAYBOOK_FAUXQS")
	if broker == "" {
		t.Skip(`SKIPPED: no SNS and SQS. Run: eval "$(scripts/services start fauxqs)"`)
	}
	config, tables, table := checkpointTable(t)
	config.BaseEndpoint = &broker
	topics, queues := sns.NewFromConfig(config), sqs.NewFromConfig(config)
	name := aws.String("t" + daybook.NewID().String()[24:] + ".fifo")
	topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: name, Attributes: map[string]string{"FifoTopic": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: name, Attributes: map[string]string{"FifoQueue": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	arn := strings.Replace(*topic.TopicArn, ":sns:", ":sqs:", 1)
	if _, err := topics.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &arn, Attributes: map[string]string{"RawMessageDelivery": "true"},
	}); err != nil {
		t.Fatal(err)
	}

	r := launch(t, "DAYBOOK_STORE=file:"+t.TempDir(), "DAYBOOK_CHANGESET_TOPIC="+*topic.TopicArn, "DAYBOOK_CHECKPOINTS="+table,
		"AWS_ENDPOINT_URL="+broker, "AWS_ENDPOINT_URL_DYNAMODB="+tables)
	g := r.gateways()[2]
	for i := range 5 {
		g.do(t, "POST", fmt.Sprintf("/streams/account-1?expected_last_changeset=%d", i), `{"events":[{"type":"a"}]}`).must(200)
		if i%2 == 0 { // the stream of the table starts it, more often than needed
			for range 2 {
				if a := r.invoke(t, []byte(stream)); a.failed || string(a.body) != `{"batchItemFailures":[]}` {
					t.Fatalf("a batch is answered with %s", a.body)
				}
			}
		}
	}
	told := r.invoke(t, []byte(schedule))
	var counts map[string]int64
	if err := json.Unmarshal(told.body, &counts); err != nil || counts["Unpublished"] != 0 || counts["Records"] != 5 {
		t.Errorf("the statistics are %s, %v", told.body, err)
	}
	if a := r.invoke(t, []byte(`{"Records":[{"eventSource":"aws:s3"}]}`)); !a.failed || !strings.Contains(string(a.body), "of no kind that is known") {
		t.Errorf("an event that is none is answered with %s", a.body)
	}

	var got []string
	for {
		out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			got = append(got, *m.Body)
			if _, err := queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf(`{"stream_id":"account-1","changeset_id":%d,"events":[{"type":"a"}],"metadata":{}}`, i+1))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the subscriber got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
