package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/daybook-go/daybook"
)

// Pauses between tries, where the service does not say how long, grow from the
// first to the longest.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = time.Second
)

// again does something until it succeeds, fails for good, or patience ends.
// Where once says so, it also ends where something may have been carried out,
// with an *UnknownError: doing it twice is not the same then.
func (d *Driver) again(ctx context.Context, what string, once bool, do func() error) error {
	var until time.Time
	pause := firstPause
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		result, wait := outcomeOf(err)
		switch {
		case errors.Is(err, daybook.ErrRefused):
			return err
		case ctx.Err() != nil:
			if d.life.Err() != nil && !once {
				return daybook.ErrClosed
			}
			return fmt.Errorf("cosmos: %w: %w", ctx.Err(), err)
		case result == final:
			return explained(err)
		case result == uncertain && once:
			return &UnknownError{Err: err}
		}
		now := time.Now()
		if try == 1 {
			until = now.Add(d.options.Patience)
		}
		if wait == 0 {
			wait = pause/2 + rand.N(pause/2)
			pause = min(2*pause, longestPause)
		}
		if now.Add(wait).After(until) {
			if result == again {
				return &ThrottledError{After: wait, Err: err}
			}
			return &UnknownError{Err: err}
		}
		d.options.Logger.Info("the service asks to try again", "doing", what, "try", try, "wait", wait, "error", brief(err))
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("cosmos: gave up waiting to try again: %w", err)
		}
	}
}

// sleep waits, or returns the error of ctx when that ends first.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads an item. It reports whether it is there.
func (d *Driver) read(ctx context.Context, partition, id string, into any) (found bool, err error) {
	err = d.again(ctx, "read", false, func() error {
		token := d.session.token()
		answer, err := d.container.ReadItem(ctx, azcosmos.NewPartitionKeyString(partitionID(partition)), id, &azcosmos.ItemOptions{SessionToken: token})
		if isMissing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		return json.Unmarshal(answer.Value, into)
	})
	return found, err
}

// isMissing reports whether an error says that an item, and nothing above it,
// is missing.
func isMissing(err error) bool {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || response.StatusCode != http.StatusNotFound || response.RawResponse == nil {
		return false
	}
	sub := response.RawResponse.Header.Get("x-ms-substatus")
	return sub == "" || sub == "0"
}

// question is a query, or what it asks one partition for.
type question struct {
	partition string
	across    bool // all partitions, instead of that one
	text      string
	values    map[string]any // of the parameters, by name
	page      int32          // how many items an answer has at most
}

// query asks for items until look says that it has seen enough.
func (d *Driver) query(ctx context.Context, q question, look func(raw []byte) (more bool, err error)) error {
	options := &azcosmos.QueryOptions{PageSizeHint: q.page}
	for name, value := range q.values {
		options.QueryParameters = append(options.QueryParameters, azcosmos.QueryParameter{Name: name, Value: value})
	}
	key := azcosmos.NewPartitionKey()
	if !q.across {
		key = azcosmos.NewPartitionKeyString(partitionID(q.partition))
	}
	for {
		var page azcosmos.QueryItemsResponse
		err := d.again(ctx, "query", false, func() (err error) {
			options.SessionToken = d.session.token()
			page, err = d.container.NewQueryItemsPager(q.text, key, options).NextPage(ctx)
			return err
		})
		if err != nil {
			return err
		}
		for _, raw := range page.Items {
			more, err := look(raw)
			if err != nil || !more {
				return err
			}
		}
		if page.ContinuationToken == nil || *page.ContinuationToken == "" {
			return nil
		}
		options.ContinuationToken = page.ContinuationToken
	}
}

// operation is a part of a batch.
type operation struct {
	verb  string // "create", "replace", "upsert", "read", "patch"
	id    string
	body  []byte
	match azcore.ETag
	patch *azcosmos.PatchOperations
}

// size is how many bytes an operation adds to a batch, at most.
func (o *operation) size() int { return len(o.body) + len(o.id) + len(o.match) + 96 }

// batchResult is what became of a batch that the service has answered.
type batchResult struct {
	done   bool
	failed int // the operation that failed; -1 where the service does not say
	status int // of the one that failed
	etags  []azcore.ETag
	bodies []json.RawMessage
}

// batch carries out all of the operations, or none. An *UnknownError says that
// it did, or did not.
func (d *Driver) batch(ctx context.Context, partition string, operations []operation) (batchResult, error) {
	var result batchResult
	err := d.again(ctx, "batch", true, func() error {
		b := d.container.NewTransactionalBatch(azcosmos.NewPartitionKeyString(partitionID(partition)))
		for i := range operations {
			operations[i].addTo(&b)
		}
		token := d.session.token()
		options := &azcosmos.TransactionalBatchOptions{}
		if token != nil {
			options.SessionToken = *token
		}
		answer, err := d.container.ExecuteTransactionalBatch(ctx, b, options)
		if err != nil {
			return err
		}
		result = batchResult{done: answer.Success, failed: -1}
		for i, r := range answer.OperationResults {
			result.etags, result.bodies = append(result.etags, r.ETag), append(result.bodies, r.ResourceBody)
			if !answer.Success && result.failed < 0 && r.StatusCode != http.StatusFailedDependency {
				result.failed, result.status = i, int(r.StatusCode)
			}
		}
		if result.status == http.StatusTooManyRequests || result.status == 449 || result.status == http.StatusRequestTimeout {
			// The whole batch was rolled back, because of the service.
			return &azcore.ResponseError{StatusCode: http.StatusTooManyRequests, ErrorCode: fmt.Sprint(result.status), RawResponse: answer.RawResponse}
		}
		return nil
	})
	return result, err
}

func (o *operation) addTo(b *azcosmos.TransactionalBatch) {
	var options *azcosmos.TransactionalBatchItemOptions
	if o.match != "" {
		options = &azcosmos.TransactionalBatchItemOptions{IfMatchETag: &o.match}
	}
	switch o.verb {
	case "create":
		b.CreateItem(o.body, nil)
	case "replace":
		b.ReplaceItem(o.id, o.body, options)
	case "upsert":
		b.UpsertItem(o.body, options)
	case "patch":
		b.PatchItem(o.id, *o.patch, options)
	default:
		b.ReadItem(o.id, nil)
	}
}

// touch makes sure that what was stored in a partition before this program first
// looked at it is seen in it, at the level of session consistency too: it reads
// where writes go, and what is read later is not older.
func (d *Driver) touch(ctx context.Context, partition string) error {
	const most = 100_000 // partitions that are remembered
	d.mu.Lock()
	known := d.touched[partition]
	if len(d.touched) >= most {
		d.touched = map[string]bool{}
	}
	d.mu.Unlock()
	if known {
		return nil
	}
	var head item[headBody]
	if _, err := d.readFresh(ctx, partition, headID, &head); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.touched[partition] = true
	return nil
}

// readFresh reads an item as it is now, at every level of consistency but that
// of an account with several regions that are written to: a batch goes where
// writes go. Whoever may not write reads as always.
func (d *Driver) readFresh(ctx context.Context, partition, id string, into any) (found bool, err error) {
	found, err = d.readByBatch(ctx, partition, id, into)
	if statusOf(err) == http.StatusForbidden {
		return d.read(ctx, partition, id, into)
	}
	return found, err
}

func (d *Driver) readByBatch(ctx context.Context, partition, id string, into any) (found bool, err error) {
	err = d.again(ctx, "read", false, func() error {
		result, err := d.batch(ctx, partition, []operation{{verb: "read", id: id}})
		if unknown, ok := errors.AsType[*UnknownError](err); ok {
			return unknown.Err
		}
		if err != nil {
			return err
		}
		switch {
		case !result.done && result.status == http.StatusNotFound:
			return nil
		case !result.done || len(result.bodies) != 1:
			return fmt.Errorf("cosmos: the answer to a read of %s is not understood: status %d", id, result.status)
		}
		found = true
		return json.Unmarshal(result.bodies[0], into)
	})
	return found, err
}
