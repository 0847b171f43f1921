package azuretable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// storage is the table, as globalorder needs it.
type storage struct {
	table *aztables.Client
	once  *aztables.Client // does not try again by itself
	tags  tagCache
}

// within returns the filter for the rows of a partition from one key up to
// below another. Keys hold no quotes.
func within(partition, from, below string) string {
	return fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s' and RowKey lt '%s'", partition, from, below)
}

// query yields the rows that a filter selects, by partition and row key.
func (s *storage) query(ctx context.Context, filter string, top *int32) iter.Seq2[*entity, error] {
	return func(yield func(*entity, error) bool) {
		pager := s.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Top: top})
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if err != nil {
				yield(nil, explained(err))
				return
			}
			for _, encoded := range page.Entities {
				row, err := parseEntity(encoded)
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// get returns a row; nil where it is not there.
func (s *storage) get(ctx context.Context, partition, key string) (*entity, azcore.ETag, error) {
	response, err := s.table.GetEntity(ctx, partition, key, nil)
	var refused *azcore.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound && refused.ErrorCode != codeNoTable {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", explained(err)
	}
	row, err := parseEntity(response.Value)
	return row, response.ETag, err
}

// submit sends a batch: all of its actions are carried out, or none. It returns
// the tags of the rows.
func (s *storage) submit(ctx context.Context, client *aztables.Client, actions []aztables.TransactionAction) ([]azcore.ETag, error) {
	reply := &batchReply{rows: len(actions)}
	_, err := client.SubmitTransaction(context.WithValue(ctx, batchReplyKey{}, reply), actions, nil)
	if err != nil {
		return nil, explained(err)
	}
	return reply.tags, nil
}

// together runs works, some at a time, and returns the first error; then what
// has not begun does not begin.
func together(atOnce int, works []func() error) error {
	var mu sync.Mutex
	var first error
	var group sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, work := range works {
		slots <- struct{}{}
		mu.Lock()
		failed := first != nil
		mu.Unlock()
		if failed {
			break
		}
		group.Add(1)
		go func() {
			defer group.Done()
			defer func() { <-slots }()
			if err := work(); err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
			}
		}()
	}
	group.Wait()
	return first
}
