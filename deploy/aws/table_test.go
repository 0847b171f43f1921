package aws_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

func TestTheTableOfTheTemplateIsAStore(t *testing.T) {
	endpoint := os.Getenv("DAYBOOK_DYNAMODB")
	if endpoint == "" {
		t.Skip(`SKIPPED: no DynamoDB. Run: eval "$(scripts/services start dynoxide)"`)
	}
	properties := at(template(t), "Resources", "Table", "Properties")
	text := func(tree any, name string) *string { return aws.String(at(tree, name).(string)) }
	schema := func(tree any) (keys []types.KeySchemaElement) {
		for _, key := range at(tree, "KeySchema").([]any) {
			keys = append(keys, types.KeySchemaElement{AttributeName: text(key, "AttributeName"), KeyType: types.KeyType(*text(key, "KeyType"))})
		}
		return keys
	}
	name := "template-" + daybook.NewID().String()
	in := &sdk.CreateTableInput{TableName: &name, BillingMode: types.BillingMode(*text(properties, "BillingMode")), KeySchema: schema(properties)}
	for _, attribute := range at(properties, "AttributeDefinitions").([]any) {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: text(attribute, "AttributeName"), AttributeType: types.ScalarAttributeType(*text(attribute, "AttributeType")),
		})
	}
	all := &types.Projection{ProjectionType: types.ProjectionTypeAll}
	for _, index := range at(properties, "LocalSecondaryIndexes").([]any) {
		in.LocalSecondaryIndexes = append(in.LocalSecondaryIndexes, types.LocalSecondaryIndex{IndexName: text(index, "IndexName"), KeySchema: schema(index), Projection: all})
	}
	for _, index := range at(properties, "GlobalSecondaryIndexes").([]any) {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{IndexName: text(index, "IndexName"), KeySchema: schema(index), Projection: all})
	}
	config := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")}
	if _, err := sdk.NewFromConfig(config).CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	driver, err := dynamodb.Open(t.Context(), "dynamodb://us-east-1/"+name, &dynamodb.Options{Config: &config})
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	if _, err := store.Append(t.Context(), daybook.StreamID{Name: "s"}, daybook.Expect{}, daybook.Event{Type: "a"}); err != nil {
		t.Fatal(err)
	}
}
