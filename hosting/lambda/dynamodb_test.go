package lambda_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/hosting/lambda"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

var _ lambda.Indexer = (*dynamodb.Driver)(nil)

// What the Elastic Event Store's own code writes into the table comes into the
// log when the stream of the table starts the indexer.
func TestTheIndexerTakesInWhatTheElasticEventStoreWrites(t *testing.T) {
	endpoint := os.Getenv("DAYBOOK_DYNAMODB")
	if endpoint == "" {
		t.Skip(`SKIPPED: no DynamoDB. Run: eval "$(scripts/services start dynoxide)"`)
	}
	table := "indexed-" + daybook.NewID().String()
	r := launch(t, "DAYBOOK_STORE=dynamodb://us-east-1/"+table+"?endpoint="+url.QueryEscape(endpoint))
	g := r.gateways()[2]
	g.do(t, "POST", "/streams/ours", `{"events":[1]}`).must(200)
	client := sdk.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")})
	var batch struct{ Records []map[string]any }
	for number := 1; number <= 2; number++ {
		digits := strconv.Itoa(number)
		item := map[string]types.AttributeValue{
			"stream_id": &types.AttributeValueMemberS{Value: "theirs"}, "changeset_id": &types.AttributeValueMemberN{Value: digits},
			"events": &types.AttributeValueMemberS{Value: "[" + digits + "]"}, "metadata": &types.AttributeValueMemberS{Value: "{}"},
			"timestamp":      &types.AttributeValueMemberS{Value: "2026-01-31T12:00:0" + digits + ".000000Z"},
			"first_event_id": &types.AttributeValueMemberN{Value: digits}, "last_event_id": &types.AttributeValueMemberN{Value: digits},
		}
		if _, err := client.PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: item}); err != nil {
			t.Fatal(err)
		}
		keys := map[string]any{"stream_id": map[string]string{"S": "theirs"}, "changeset_id": map[string]string{"N": digits}}
		image := map[string]any{"stream_id": keys["stream_id"], "changeset_id": keys["changeset_id"], "first_event_id": map[string]string{"N": digits}}
		batch.Records = append(batch.Records, map[string]any{
			"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": map[string]any{"SequenceNumber": "10" + digits, "Keys": keys, "NewImage": image},
		})
	}
	event, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same batch may come twice
		if a := r.invoke(t, event); a.failed || string(a.body) != `{"batchItemFailures":[]}` {
			t.Fatalf("the batch is answered with %s", a.body)
		}
	}
	g.do(t, "GET", "/changesets?checkpoint=1", "").is(200, `{"checkpoint":1,"limit":10,"changesets":[
		{"stream_id":"theirs","changeset_id":1,"events":[1],"metadata":{},"checkpoint":1},
		{"stream_id":"theirs","changeset_id":2,"events":[2],"metadata":{},"checkpoint":2}],"next_checkpoint":3}`)
}
