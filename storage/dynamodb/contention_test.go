package dynamodb_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

// TestManyThatAppendALittleAllSucceed lets drivers race for the pages as
// functions do, and prints how many transactions that took.
func TestManyThatAppendALittleAllSucceed(t *testing.T) {
	const drivers, each = 8, 10
	address := urlOf(endpoint(t), freshTable(t))
	first := open(t, address, dynamodb.Options{})
	var seen attempts
	var group sync.WaitGroup
	for i := range drivers {
		d := open(t, address, dynamodb.Options{Attempt: seen.note})
		group.Go(func() {
			for range each {
				c := changeset(fmt.Sprintf("s-%d", i), "ours", 1)
				if _, err := d.Append(context.Background(), appendOf(c)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	transactions, contended, reads := 0, 0, 0.0
	for _, a := range seen.take() {
		reads += a.Reads
		if a.Operation == "TransactWriteItems" {
			transactions++
			if a.Contended {
				contended++
			}
		}
	}
	t.Logf("%d appends took %d transactions, of which %d met another one under way, and %.0f read units", drivers*each, transactions, contended, reads)
	if got := len(logOf(t, first)); got != drivers*each {
		t.Errorf("%d records, want %d", got, drivers*each)
	}
	for i := range drivers {
		if head, err := first.Head(t.Context(), daybook.Stream(fmt.Sprintf("s-%d", i))); err != nil || head.Version != each {
			t.Errorf("stream %d ends at %+v (%v), want version %d", i, head, err, each)
		}
	}
	mustBeSound(t, first)
}
