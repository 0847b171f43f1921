package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
)

// Version is that of the rows in a table. There is one.
const Version = 1

// Table says how a table is made. The zero value is one that is billed by
// request and can be restored to any second of the last 35 days.
type Table struct {
	// ReadUnits and WriteUnits are provisioned capacity, of the table and of its
	// global index each. Both 0: every request is billed on demand.
	ReadUnits, WriteUnits int64
	// NoRecovery leaves point-in-time recovery off.
	NoRecovery bool
	// Streams turns DynamoDB Streams on, with new images: what an indexer is
	// started by. It costs nothing until it is read.
	Streams bool
	// Tags are put on the table.
	Tags map[string]string
}

// Migrate makes the table that a URL names, with the keys and indexes of EES, if
// it is not there, and waits until it can be used. It reports whether it made
// it. A table that is there is checked, and left as it is: its billing, backups,
// streams and tags are for who owns it.
func Migrate(ctx context.Context, address string, with *Table, options *Options) (made bool, err error) {
	t, err := connect(ctx, address, options)
	if err != nil {
		return false, err
	}
	if with == nil {
		with = &Table{}
	}
	return t.migrate(ctx, with)
}

func (t *table) migrate(ctx context.Context, with *Table) (made bool, err error) {
	if (with.ReadUnits > 0) != (with.WriteUnits > 0) || with.ReadUnits < 0 || with.WriteUnits < 0 {
		return false, &daybook.InvalidError{
			Field: "table", Value: fmt.Sprintf("%d read units, %d write units", with.ReadUnits, with.WriteUnits), Reason: "both must be given, or none",
		}
	}
	if _, err = t.inspect(ctx); !isMissing(err) {
		return false, err
	}
	if _, err = t.client.CreateTable(ctx, t.definition(with)); err != nil {
		var used *types.ResourceInUseException
		if !errors.As(err, &used) { // somebody else makes it just now
			return false, explained(err)
		}
	}
	waiter := dynamodb.NewTableExistsWaiter(t.client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 5*time.Second
	})
	if err = waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &t.name}, 5*time.Minute); err != nil {
		return false, fmt.Errorf("dynamodb: the table %s was made, and cannot be used yet: %w", t.name, explained(err))
	}
	if !with.NoRecovery {
		_, err = t.client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
			TableName: &t.name, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
		})
		if err != nil && !isUnknown(err) {
			return true, fmt.Errorf("dynamodb: the table %s was made, but without point-in-time recovery: %w", t.name, explained(err))
		}
	}
	_, err = t.inspect(ctx)
	return true, err
}

// isUnknown reports whether the server does not know an operation: those that
// stand for the service in tests have no backups.
func isUnknown(err error) bool {
	return strings.Contains(messageOf(err), "UnknownOperation")
}

func isMissing(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && refused.Code == codeNoTable
}

// definition is the table of EES.
func (t *table) definition(with *Table) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{
		TableName: &t.name, BillingMode: types.BillingModePayPerRequest, KeySchema: keySchema(attrStream, attrChangeset),
	}
	for name, kind := range attributeTypes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: kind})
	}
	all := &types.Projection{ProjectionType: types.ProjectionTypeAll}
	for name, by := range localIndexes {
		in.LocalSecondaryIndexes = append(in.LocalSecondaryIndexes, types.LocalSecondaryIndex{
			IndexName: aws.String(name), KeySchema: keySchema(attrStream, by), Projection: all,
		})
	}
	global := types.GlobalSecondaryIndex{IndexName: aws.String(indexOrder), KeySchema: keySchema(attrPage, attrPageItem), Projection: all}
	if with.WriteUnits > 0 {
		in.BillingMode = types.BillingModeProvisioned
		in.ProvisionedThroughput = &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(with.ReadUnits), WriteCapacityUnits: aws.Int64(with.WriteUnits)}
		global.ProvisionedThroughput = in.ProvisionedThroughput
	}
	in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{global}
	if with.Streams {
		in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage}
	}
	for key, value := range with.Tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	slices.SortFunc(in.Tags, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return in
}

var attributeTypes = map[string]types.ScalarAttributeType{
	attrStream: types.ScalarAttributeTypeS, attrChangeset: types.ScalarAttributeTypeN, attrFirstEvent: types.ScalarAttributeTypeN,
	attrLastEvent: types.ScalarAttributeTypeN, attrPage: types.ScalarAttributeTypeN, attrPageItem: types.ScalarAttributeTypeN,
}

// localIndexes are the names of the local indexes, and what they sort by.
var localIndexes = map[string]string{indexFirstEvent: attrFirstEvent, indexLastEvent: attrLastEvent}

func keySchema(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash}, {AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
	}
}

// inspect checks that the table has the form of EES's.
func (t *table) inspect(ctx context.Context) (*types.TableDescription, error) {
	out, err := t.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.name})
	if err != nil {
		return nil, explained(err)
	}
	wrong := func(what string) error {
		return &daybook.InvalidError{Field: "store", Value: t.name, Reason: "is no table of this kind: " + what + "; daybook migrate makes one"}
	}
	if !hasSchema(out.Table.KeySchema, attrStream, attrChangeset) {
		return nil, wrong("its keys must be stream_id and changeset_id")
	}
	for name, by := range localIndexes {
		if !slices.ContainsFunc(out.Table.LocalSecondaryIndexes, func(index types.LocalSecondaryIndexDescription) bool {
			return aws.ToString(index.IndexName) == name && hasSchema(index.KeySchema, attrStream, by) && index.Projection.ProjectionType == types.ProjectionTypeAll
		}) {
			return nil, wrong("it lacks the local index " + name + " by " + by + " with all attributes")
		}
	}
	if !slices.ContainsFunc(out.Table.GlobalSecondaryIndexes, func(index types.GlobalSecondaryIndexDescription) bool {
		return aws.ToString(index.IndexName) == indexOrder && hasSchema(index.KeySchema, attrPage, attrPageItem)
	}) {
		return nil, wrong("it lacks the global index " + indexOrder + " by page and page_item")
	}
	return out.Table, nil
}

func hasSchema(schema []types.KeySchemaElement, partition, sort string) bool {
	names := map[types.KeyType]string{}
	for _, element := range schema {
		names[element.KeyType] = aws.ToString(element.AttributeName)
	}
	return names[types.KeyTypeHash] == partition && names[types.KeyTypeRange] == sort
}
