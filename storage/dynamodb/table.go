package dynamodb

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
)

// table is the globalorder.Storage.
type table struct {
	client  *dynamodb.Client
	name    string
	options Options

	recent recent // pages that were read or created
	names  depths // of the directory
	race   race   // for the next page

	mu      sync.Mutex          // guards all below
	foreign map[daybook.ID]bool // appends of EES whose changesets have rows already
}

func (o *Options) orDefaults() Options {
	var filled Options
	if o != nil {
		filled = *o
	}
	filled.Poll = cmp.Or(max(filled.Poll, 0), 250*time.Millisecond)
	filled.Patience = cmp.Or(max(filled.Patience, 0), 30*time.Second)
	filled.RequestTimeout = cmp.Or(max(filled.RequestTimeout, 0), 15*time.Second)
	filled.Attempts = cmp.Or(max(filled.Attempts, 0), 8)
	filled.Logger = cmp.Or(filled.Logger, slog.New(slog.DiscardHandler))
	return filled
}

// get reads a row; nil where there is none.
func (t *table) get(ctx context.Context, key row, attributes string) (row, error) {
	in := &dynamodb.GetItemInput{TableName: &t.name, Key: key, ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: t.counting()}
	if attributes != "" {
		in.ProjectionExpression, in.ExpressionAttributeNames = project(attributes)
	}
	out, err := t.client.GetItem(ctx, in)
	if err != nil {
		return nil, explained(err)
	}
	return out.Item, nil
}

// project puts a placeholder for a name that could be a word of the service.
func project(attribute string) (*string, map[string]string) {
	return aws.String("#projected"), map[string]string{"#projected": attribute}
}

// query selects rows of one partition key, by their sort key.
type query struct {
	index     string // "" is the table itself
	partition types.AttributeValue
	by        [2]string // names of partition and sort key; empty are those of the table
	from, to  int64     // sort keys, both included; to 0 is no bound
	least     string    // in place of from, where that is too small for it
	backwards bool
	most      int  // rows in one reply; 0 is what it holds
	eventual  bool // for an index that cannot be read otherwise
}

// rows yields what a query selects, in the order of the sort key, and follows
// the replies to the last one.
func (t *table) rows(ctx context.Context, q query) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		by := q.by
		if by[0] == "" {
			by = [2]string{attrStream, attrChangeset}
		}
		in := &dynamodb.QueryInput{
			TableName: &t.name, ConsistentRead: aws.Bool(!q.eventual), ScanIndexForward: aws.Bool(!q.backwards), ReturnConsumedCapacity: t.counting(),
			KeyConditionExpression:    aws.String("#p = :p AND #s BETWEEN :from AND :to"),
			ExpressionAttributeNames:  map[string]string{"#p": by[0], "#s": by[1]},
			ExpressionAttributeValues: row{":p": q.partition, ":from": number(q.from), ":to": number(q.to)},
		}
		if q.least != "" {
			in.ExpressionAttributeValues[":from"] = &types.AttributeValueMemberN{Value: q.least}
		}
		if q.to == 0 {
			in.KeyConditionExpression = aws.String("#p = :p AND #s >= :from")
			delete(in.ExpressionAttributeValues, ":to")
		}
		if q.index != "" {
			in.IndexName = &q.index
		}
		if q.most > 0 {
			in.Limit = aws.Int32(int32(q.most))
		}
		for {
			out, err := t.client.Query(ctx, in)
			if err != nil {
				yield(nil, explained(err))
				return
			}
			for _, item := range out.Items {
				if !yield(item, nil) {
					return
				}
			}
			if len(out.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
}

// first returns the first row that a query selects; nil where there is none.
func (t *table) first(ctx context.Context, q query) (row, error) {
	q.most = 1
	for r, err := range t.rows(ctx, q) {
		return r, err
	}
	return nil, nil
}
