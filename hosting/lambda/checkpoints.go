package lambda

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel"
)

// Checkpoints keeps checkpoints in a DynamoDB table whose key is "name", a
// string; each is an item with the number "position". It is not the table of
// the store: what is written there would start the publisher again.
type Checkpoints struct {
	client *dynamodb.Client
	table  string
}

// NewCheckpoints returns the checkpoints in a table. Nothing is sent.
func NewCheckpoints(config aws.Config, table string) *Checkpoints {
	return &Checkpoints{client: dynamodb.NewFromConfig(config), table: table}
}

var _ channel.Checkpoints = (*Checkpoints)(nil)

func (c *Checkpoints) key(name string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"name": &types.AttributeValueMemberS{Value: name}}
}

// Load implements channel.Checkpoints.
func (c *Checkpoints) Load(ctx context.Context, name string) (daybook.Position, error) {
	out, err := c.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: c.key(name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return 0, err
	}
	if out.Item == nil {
		return 0, nil
	}
	position, is := out.Item["position"].(*types.AttributeValueMemberN)
	if !is {
		return 0, fmt.Errorf("table %s: %q has no number \"position\"", c.table, name)
	}
	place, err := strconv.ParseInt(position.Value, 10, 64)
	return daybook.Position(place), err
}

// Save implements channel.Checkpoints.
func (c *Checkpoints) Save(ctx context.Context, name string, from, to daybook.Position) error {
	number := func(p daybook.Position) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(p), 10)}
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &c.table, Key: c.key(name),
		UpdateExpression:          aws.String("SET #p = :to"),
		ConditionExpression:       aws.String("#p = :from"),
		ExpressionAttributeNames:  map[string]string{"#p": "position"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":from": number(from), ":to": number(to)},
	}
	if from == 0 {
		in.ConditionExpression = aws.String("attribute_not_exists(#p) OR #p = :from")
	}
	_, err := c.client.UpdateItem(ctx, in)
	var elsewhere *types.ConditionalCheckFailedException
	if errors.As(err, &elsewhere) {
		// A request of ours that was sent again meets what it has written itself.
		if place, err := c.Load(ctx, name); err == nil && place == to {
			return nil
		}
		return channel.ErrMoved
	}
	return err
}
