package cosmos_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// batchOf asks for operations to be carried out together. The answer is the
// status of the whole, and of each.
func batchOf(partition string, add ...func(p *peer, b *azcosmos.TransactionalBatch)) ask {
	return func(ctx context.Context, p *peer) string {
		b := p.container.NewTransactionalBatch(azcosmos.NewPartitionKeyString(partition))
		for _, a := range add {
			a(p, &b)
		}
		r, err := p.container.ExecuteTransactionalBatch(ctx, b, nil)
		if err != nil {
			return failure(err)
		}
		answer := fmt.Sprintf("%d", r.RawResponse.StatusCode)
		if n := len(r.OperationResults); n > 10 {
			return fmt.Sprintf("%s with %d results", answer, n)
		}
		for _, o := range r.OperationResults {
			answer += fmt.Sprintf(" %d", o.StatusCode)
			if o.StatusCode < 300 && o.ETag == "" {
				answer += " without an ETag"
			}
			if body, err := decoded(o.ResourceBody); err == nil {
				answer += " " + bare(body)
			}
		}
		return answer
	}
}

func TestTheDoubleCarriesOutBatchesAsAnotherServerDoes(t *testing.T) {
	create := func(id string) func(*peer, *azcosmos.TransactionalBatch) {
		return func(_ *peer, b *azcosmos.TransactionalBatch) { b.CreateItem([]byte(itemOf("p", id, 1)), nil) }
	}
	replace := func(id string, which int) func(*peer, *azcosmos.TransactionalBatch) {
		return func(p *peer, b *azcosmos.TransactionalBatch) {
			options := &azcosmos.TransactionalBatchItemOptions{IfMatchETag: p.match("p", id, which)}
			b.ReplaceItem(id, []byte(itemOf("p", id, 2)), options)
		}
	}
	get := func(id string) func(*peer, *azcosmos.TransactionalBatch) {
		return func(_ *peer, b *azcosmos.TransactionalBatch) { b.ReadItem(id, nil) }
	}
	var many []func(*peer, *azcosmos.TransactionalBatch)
	for i := range 101 {
		many = append(many, create(fmt.Sprint("many", i)))
	}
	const noKey = "it wants the partition key in each operation; [docs] transactional-batch: it is that of the batch"
	compareBoth(t, []exchange{
		{name: "create two", ask: batchOf("p", create("a"), create("b")), want: "200 201 201",
			server: "200 201 " + itemOf("p", "a", 1) + " 201 " + itemOf("p", "b", 1), fault: "[rest] common-cosmosdb-rest-request-headers, Prefer: no items where they are not wanted"},
		{name: "read one of them", ask: read("p", "b"), want: "200 " + itemOf("p", "b", 1)},
		{name: "create one that is there, the last", ask: batchOf("p", create("c"), create("a")), want: "207 424 409",
			server: "200 201 " + itemOf("p", "c", 1) + " 409", fault: "it carries out a part; [docs] transactional-batch: all or none, 207, and 424 for the others"},
		{name: "read what a batch that failed has created", ask: read("p", "c"), want: "404", server: "200 " + itemOf("p", "c", 1), fault: "as above"},
		{name: "create one that is there, the first", ask: batchOf("p", create("a"), create("d")), want: "207 409 424",
			server: "200 409 424", fault: "[docs] transactional-batch: 207"},
		{name: "read what stands behind it", ask: read("p", "d"), want: "404", server: "500", fault: "[rest] get-a-document: 404"},
		{name: "replace what is as it was read", ask: batchOf("p", replace("b", thisETag), create("e")), want: "200 200 201", server: "500", fault: noKey},
		{name: "read it", ask: read("p", "b"), want: "200 " + itemOf("p", "b", 2), server: "200 " + itemOf("p", "b", 1), fault: noKey},
		{name: "replace what has changed", ask: batchOf("p", replace("b", staleETag), create("f")), want: "207 412 424", server: "500", fault: noKey},
		{name: "read", ask: batchOf("p", get("a")), want: "200 200 " + itemOf("p", "a", 1), server: "500", fault: noKey},
		{name: "read what is not there", ask: batchOf("p", get("none")), want: "207 404", server: "500", fault: noKey},
		{name: "too many operations", ask: batchOf("p", many...), want: "400",
			server: "200 with 101 results", fault: "[docs] concepts-limits: 100 operations"},
	})
}
