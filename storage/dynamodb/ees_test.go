package dynamodb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook/storage/dynamodb"
)

// ees does to a table what the Elastic Event Store does, by its rules and with
// its attributes: commits, its indexer, and its reads.
type ees struct {
	t      testing.TB
	client *sdk.Client
	table  *string
	at     time.Time // of the next commit
}

const eesCounter = "!!!RESERVED:GLOBAL-COUNTER!!!"

// eesTable makes a table as EES's template does.
func eesTable(t testing.TB) (*ees, string) {
	t.Helper()
	name := freshTable(t)
	address := urlOf(endpoint(t), name)
	if _, err := dynamodb.Migrate(t.Context(), address, nil, quick(dynamodb.Options{})); err != nil {
		t.Fatal(err)
	}
	return &ees{t: t, client: clientAt(endpoint(t)), table: &name, at: time.Date(2021, 3, 4, 5, 6, 7, 80900000, time.UTC)}, address
}

type attributes = map[string]types.AttributeValue

func s(text string) types.AttributeValue { return &types.AttributeValueMemberS{Value: text} }

func n(number int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(number)}
}

func numberOf(item attributes, name string) int {
	value, _ := item[name].(*types.AttributeValueMemberN)
	if value == nil {
		return -1
	}
	number, _ := strconv.Atoi(value.Value)
	return number
}

func textOf(item attributes, name string) string {
	value, _ := item[name].(*types.AttributeValueMemberS)
	if value == nil {
		return ""
	}
	return value.Value
}

// last returns the newest changeset of a stream.
func (e *ees) last(stream string) attributes {
	e.t.Helper()
	out, err := e.client.Query(e.t.Context(), &sdk.QueryInput{
		TableName: e.table, Limit: aws.Int32(1), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression: aws.String("stream_id = :s"), ExpressionAttributeValues: attributes{":s": s(stream)},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	if len(out.Items) == 0 {
		return attributes{"changeset_id": n(0), "last_event_id": n(0)}
	}
	return out.Items[0]
}

// commit appends a changeset to a stream, with texts as Python writes JSON, and
// returns its number.
func (e *ees) commit(stream string, events ...string) int {
	e.t.Helper()
	last := e.last(stream)
	changeset, first := numberOf(last, "changeset_id")+1, numberOf(last, "last_event_id")+1
	e.at = e.at.Add(time.Second)
	_, err := e.client.PutItem(e.t.Context(), &sdk.PutItemInput{
		TableName: e.table, ConditionExpression: aws.String("attribute_not_exists(stream_id) AND attribute_not_exists(changeset_id)"),
		Item: attributes{
			"stream_id": s(stream), "changeset_id": n(changeset), "metadata": s(fmt.Sprintf(`{"by": "%s"}`, stream)),
			"events": s("[" + strings.Join(events, ", ") + "]"), "first_event_id": n(first), "last_event_id": n(first + len(events) - 1),
			"timestamp": s(e.at.Format("2006-01-02T15:04:05.999999") + "Z"),
		},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return changeset
}

func (e *ees) item(stream string, number int) attributes {
	e.t.Helper()
	out, err := e.client.GetItem(e.t.Context(), &sdk.GetItemInput{
		TableName: e.table, ConsistentRead: aws.Bool(true), Key: attributes{"stream_id": s(stream), "changeset_id": n(number)},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return out.Item
}

func (e *ees) update(stream string, number int, set string, values attributes, condition string) error {
	in := &sdk.UpdateItemInput{
		TableName: e.table, Key: attributes{"stream_id": s(stream), "changeset_id": n(number)},
		UpdateExpression: &set, ExpressionAttributeValues: values, ExpressionAttributeNames: map[string]string{"#page": "page"},
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	_, err := e.client.UpdateItem(e.t.Context(), in)
	return err
}

// count gives a changeset the next place in the order, in EES's counter; index
// also writes it down.
func (e *ees) count(stream string, number int) (page, item int) {
	e.t.Helper()
	counter := e.item(eesCounter, 0)
	if counter == nil {
		counter = attributes{
			"stream_id": s(eesCounter), "changeset_id": n(0), "page": n(0), "page_item": n(-1), "prev_stream_id": s(""), "prev_changeset_id": n(0),
		}
		if _, err := e.client.PutItem(e.t.Context(), &sdk.PutItemInput{TableName: e.table, Item: counter}); err != nil {
			e.t.Fatal(err)
		}
	}
	value := counter["page_item"].(*types.AttributeValueMemberN).Value
	before, _ := strconv.Atoi(value)
	page, item = numberOf(counter, "page"), before+1
	if item == 1000 {
		page, item = page+1, 0
	}
	err := e.update(eesCounter, 0, "SET #page = :p, page_item = :i, prev_stream_id = :s, prev_stream_changeset_id = :n",
		attributes{":p": n(page), ":i": n(item), ":s": s(stream), ":n": n(number), ":oldp": counter["page"], ":oldi": counter["page_item"]}, "#page = :oldp AND page_item = :oldi")
	if err != nil {
		e.t.Fatal(err)
	}
	return page, item
}

// index is EES's indexer: the changesets before it first.
func (e *ees) index(stream string, number int) {
	e.t.Helper()
	if numberOf(e.item(stream, number), "page") >= 0 {
		return
	}
	if number > 1 {
		e.index(stream, number-1)
	}
	page, item := e.count(stream, number)
	if err := e.update(stream, number, "SET #page = :p, page_item = :i", attributes{":p": n(page), ":i": n(item)}, "attribute_not_exists(#page)"); err != nil {
		e.t.Fatal(err)
	}
}

// fed is a changeset of EES's global feed.
type fed struct {
	stream     string
	number     int
	checkpoint int
	events     []json.RawMessage
	first      int
}

func (f fed) String() string {
	return fmt.Sprintf("%s/%d at %d from %d: %s\n", f.stream, f.number, f.checkpoint, f.first, f.events)
}

func same(a, b fed) bool { return a.String() == b.String() }

func (e *ees) parse(item attributes) fed {
	e.t.Helper()
	f := fed{stream: textOf(item, "stream_id"), number: numberOf(item, "changeset_id"), first: numberOf(item, "first_event_id")}
	f.checkpoint = numberOf(item, "page")*1000 + numberOf(item, "page_item")
	var metadata any
	if err := errors.Join(json.Unmarshal([]byte(textOf(item, "events")), &f.events), json.Unmarshal([]byte(textOf(item, "metadata")), &metadata)); err != nil {
		e.t.Fatalf("%s/%d cannot be read by EES: %v", f.stream, f.number, err)
	}
	if last := numberOf(item, "last_event_id"); last-f.first+1 != len(f.events) {
		e.t.Fatalf("%s/%d has %d events from %d to %d", f.stream, f.number, len(f.events), f.first, last)
	}
	if _, err := time.Parse(time.RFC3339Nano, textOf(item, "timestamp")); err != nil {
		e.t.Fatalf("%s/%d: %v", f.stream, f.number, err)
	}
	return f
}

// feed reads EES's global index from its beginning.
func (e *ees) feed() (all []fed) {
	e.t.Helper()
	for page := 0; ; page++ {
		paginator := sdk.NewQueryPaginator(e.client, &sdk.QueryInput{
			TableName: e.table, IndexName: aws.String("EmumerationIndex"), KeyConditionExpression: aws.String("#page = :p"),
			ExpressionAttributeNames: map[string]string{"#page": "page"}, ExpressionAttributeValues: attributes{":p": n(page)},
		})
		found := 0
		for paginator.HasMorePages() {
			out, err := paginator.NextPage(e.t.Context())
			if err != nil {
				e.t.Fatal(err)
			}
			for _, item := range out.Items {
				if textOf(item, "stream_id") != eesCounter {
					all = append(all, e.parse(item))
					found++
				}
			}
		}
		if found == 0 {
			return all
		}
	}
}

// stream reads the changesets of a stream as EES does.
func (e *ees) stream(stream string) (all []fed) {
	e.t.Helper()
	out, err := e.client.Query(e.t.Context(), &sdk.QueryInput{
		TableName: e.table, KeyConditionExpression: aws.String("stream_id = :s"), ExpressionAttributeValues: attributes{":s": s(stream)},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	for _, item := range out.Items {
		all = append(all, e.parse(item))
	}
	return all
}
