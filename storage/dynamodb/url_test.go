package dynamodb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

func TestURLThatIsWrongIsToldWithoutItsSecrets(t *testing.T) {
	for address, want := range map[string]string{
		"dynamodb://eu-central-1/":                                    "must name a table",
		"dynamodb://eu-central-1/ab":                                  "must name a table",
		"dynamodb:///table":                                           "must name a region",
		"dynamodb://EU/table":                                         "must name a region",
		"dynamodb://AKIA:s3cret@eu-central-1/table":                   "must hold no credentials",
		"dynamodb://AKIA:s3/cret@eu-central-1/table":                  "must",
		"dynamodb://eu-central-1/table?profile=x":                     `the parameter "profile"`,
		"dynamodb://eu-central-1/table?endpoint=http://u:s3cret@host": "its endpoint must be",
		"dynamodb://eu-central-1/table?endpoint=host":                 "its endpoint must be",
		"postgres://eu-central-1/table":                               "must be dynamodb://REGION/TABLE",
	} {
		_, err := dynamodb.Open(t.Context(), address, quick(dynamodb.Options{}))
		if !errors.Is(err, daybook.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want that it %s", address, err, want)
		}
	}
}

func TestTableIsMadeOnceAsAskedAndKept(t *testing.T) {
	name := freshTable(t)
	address := urlOf(endpoint(t), name)
	if _, err := dynamodb.Open(t.Context(), address, &dynamodb.Options{Config: configuration()}); !errors.Is(err, daybook.ErrRefused) || !strings.Contains(err.Error(), "daybook migrate") {
		t.Errorf("a table that is not there: %v", err)
	}
	with := &dynamodb.Table{ReadUnits: 7, WriteUnits: 8, Streams: true, Tags: map[string]string{"team": "orders"}}
	made, err := dynamodb.Migrate(t.Context(), address, with, quick(dynamodb.Options{}))
	if err != nil || !made {
		t.Fatalf("%t, %v", made, err)
	}
	if made, err = dynamodb.Migrate(t.Context(), address, &dynamodb.Table{}, quick(dynamodb.Options{})); err != nil || made {
		t.Errorf("the second time: %t, %v", made, err)
	}
	client := clientAt(endpoint(t))
	out, err := client.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if units := out.Table.ProvisionedThroughput; aws.ToInt64(units.ReadCapacityUnits) != 7 || aws.ToInt64(units.WriteCapacityUnits) != 8 {
		t.Errorf("the table has %+v", units)
	}
	if stream := out.Table.StreamSpecification; stream == nil || stream.StreamViewType != types.StreamViewTypeNewImage {
		t.Errorf("the table has the stream %+v", stream)
	}
	tags, err := client.ListTagsOfResource(t.Context(), &sdk.ListTagsOfResourceInput{ResourceArn: out.Table.TableArn})
	if err != nil || len(tags.Tags) != 1 || aws.ToString(tags.Tags[0].Value) != "orders" {
		t.Errorf("the table has the tags %+v (%v)", tags, err)
	}
	var invalid *daybook.InvalidError
	if _, err := dynamodb.Migrate(t.Context(), address, &dynamodb.Table{ReadUnits: 1}, quick(dynamodb.Options{})); !errors.As(err, &invalid) {
		t.Errorf("read units without write units: %v", err)
	}
}

func TestTableOfAnotherKindIsRefused(t *testing.T) {
	name := freshTable(t)
	client := clientAt(endpoint(t))
	_, err := client.CreateTable(t.Context(), &sdk.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = dynamodb.Open(t.Context(), urlOf(endpoint(t), name), quick(dynamodb.Options{}))
	if !errors.Is(err, daybook.ErrInvalid) || !strings.Contains(err.Error(), "its keys must be stream_id and changeset_id") {
		t.Errorf("the error is %v", err)
	}
}
