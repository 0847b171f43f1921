package dynamodb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// variable names the server that the tests use; scripts/services starts it.
const variable = "DAYBOOK_DYNAMODB"

// endpoint returns the URL of the server.
func endpoint(t testing.TB) string {
	t.Helper()
	address := os.Getenv(variable)
	if address == "" {
		t.Skipf("NOT TESTED: storage/dynamodb, since %s names no server: eval \"$(scripts/services start dynoxide)\"", variable)
	}
	return address
}

// configuration holds credentials that the server does not look at.
func configuration() *aws.Config {
	return &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Region: "eu-central-1"}
}

// urlOf returns the URL of a store in a table behind an endpoint.
func urlOf(endpoint, table string) string {
	return "dynamodb://eu-central-1/" + table + "?endpoint=" + url.QueryEscape(endpoint)
}

// clientAt returns a client beside those of a driver. It tries as often as the SDK
// that EES uses does with DynamoDB.
func clientAt(endpoint string) *sdk.Client {
	return sdk.NewFromConfig(*configuration(), func(o *sdk.Options) { o.BaseEndpoint, o.RetryMaxAttempts = &endpoint, 10 })
}

// freshTable returns the name of a table that no other test uses; it is dropped
// when the test ends.
func freshTable(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%x", rand.Uint64())
	client := clientAt(endpoint(t))
	t.Cleanup(func() { _, _ = client.DeleteTable(context.Background(), &sdk.DeleteTableInput{TableName: &name}) })
	return name
}

// quick makes of options some for tests, which make their tables.
func quick(options dynamodb.Options) *dynamodb.Options {
	options.Config = configuration()
	if options.Migrate == nil {
		options.Migrate = &dynamodb.Table{}
	}
	if options.Poll == 0 {
		options.Poll = 5 * time.Millisecond
	}
	return &options
}

func open(t testing.TB, address string, options dynamodb.Options) *dynamodb.Driver {
	t.Helper()
	d, err := dynamodb.Open(t.Context(), address, quick(options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDriver(t *testing.T) {
	at := endpoint(t)
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := urlOf(at, freshTable(t))
		return open(t, address, dynamodb.Options{}), func() daybook.Driver { return open(t, address, dynamodb.Options{}) }
	})
}

// changeset is one that appends events of a type to a stream.
func changeset(stream, kind string, events int) daybook.Changeset {
	c := daybook.Changeset{Stream: daybook.Stream(stream)}
	for i := range events {
		c.Events = append(c.Events, daybook.Event{ID: daybook.NewID(), Type: kind, ContentType: daybook.ContentTypeJSON, Data: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	return c
}

func appendOf(changesets ...daybook.Changeset) daybook.Append {
	return daybook.Append{ID: daybook.NewID(), Changesets: changesets}
}
