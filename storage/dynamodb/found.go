package dynamodb

import (
	"context"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/daybook-go/daybook"
)

// foundAtOnce is how many changesets are read by one request.
const foundAtOnce = 50

// Found implements globalorder.Adopter: it yields the changesets that EES has
// written, in EES's order as far as its indexer has come, and then those that it
// had still to do. It reads the whole table, and keeps some 60 bytes of each
// changeset in memory.
func (t *table) Found(ctx context.Context) iter.Seq2[daybook.RecordedChangeset, error] {
	return func(yield func(daybook.RecordedChangeset, error) bool) {
		all, err := t.scan(ctx)
		if err == nil {
			err = t.repaired(ctx, all)
		}
		if err != nil {
			yield(daybook.RecordedChangeset{}, err)
			return
		}
		inOrder(all)
		if len(all) > 0 {
			t.options.Logger.Info("taking in what EES has written", "table", t.name, "changesets", len(all))
		}
		for len(all) > 0 {
			some := all[:min(foundAtOnce, len(all))]
			all = all[len(some):]
			rows, err := t.contents(ctx, some)
			for _, f := range some {
				var c daybook.RecordedChangeset
				var has bool
				if err == nil {
					c, has, err = changesetOf(f, rows[f])
				}
				if err != nil {
					yield(daybook.RecordedChangeset{}, err)
					return
				}
				if !has {
					t.options.Logger.Warn("a changeset without events is left out", "stream", f.key, "changeset", f.number)
					continue
				}
				t.remember(c.AppendID)
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// scan returns all changesets of EES that are not in the log.
func (t *table) scan(ctx context.Context) ([]foreign, error) {
	in := &dynamodb.ScanInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: t.counting(),
		FilterExpression: aws.String("attribute_exists(#first) AND attribute_not_exists(#ours)"),
		ExpressionAttributeNames: map[string]string{
			"#first": attrFirstEvent, "#ours": attrDaybook, "#key": attrStream, "#number": attrChangeset, "#page": attrPage, "#item": attrPageItem, "#at": attrTimestamp,
		},
		ProjectionExpression: aws.String("#key, #number, #first, #page, #item, #at"),
	}
	var all []foreign
	streams := map[string]string{} // one string for each stream
	for {
		out, err := t.client.Scan(ctx, in)
		if err != nil {
			return nil, explained(err)
		}
		for _, item := range out.Items {
			if f, is := foreignOf(item); is {
				if _, known := streams[f.key]; !known {
					streams[f.key] = f.key
				}
				f.key = streams[f.key]
				all = append(all, f)
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return all, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}
