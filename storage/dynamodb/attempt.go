package dynamodb

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// Attempt tells of one request that was sent to the service.
type Attempt struct {
	Operation string // "TransactWriteItems"
	// Reads and Writes are what it consumed, in capacity units of the table and
	// its indexes; Indexes are the units of each index within them.
	Reads, Writes float64
	Indexes       map[string]float64
	// Err is why it failed; Throttled is set where the service had no capacity
	// left for it, Contended where another transaction was in the way. Such an
	// attempt, and one without an answer, is made again after a pause.
	Err       error
	Throttled bool
	Contended bool
	Took      time.Duration
}

// outcome remembers about the attempts of one call whether one of them may have
// been carried out though it failed.
type outcome struct{ unclear bool }

type outcomeKey struct{}

// watch puts a step into the SDK that sees every attempt.
func (t *table) watch(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("DaybookAttempt", t.attempt), "Retry", middleware.After)
}

func (t *table) attempt(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	began := time.Now()
	out, metadata, err := next.HandleFinalize(ctx, in)
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok && err != nil && isUnclear(err) {
		o.unclear = true
	}
	if t.options.Attempt != nil {
		a := Attempt{Operation: middleware.GetOperationName(ctx), Err: err, Throttled: isThrottled(err), Contended: isContended(err), Took: time.Since(began)}
		for _, c := range consumed(out.Result) {
			a.count(c, a.Operation)
		}
		t.options.Attempt(ctx, a)
	}
	return out, metadata, err
}

// consumed returns what a reply says about its cost.
func consumed(reply any) []types.ConsumedCapacity {
	one := func(c *types.ConsumedCapacity) []types.ConsumedCapacity {
		if c == nil {
			return nil
		}
		return []types.ConsumedCapacity{*c}
	}
	switch reply := reply.(type) {
	case *dynamodb.GetItemOutput:
		return one(reply.ConsumedCapacity)
	case *dynamodb.QueryOutput:
		return one(reply.ConsumedCapacity)
	case *dynamodb.ScanOutput:
		return one(reply.ConsumedCapacity)
	case *dynamodb.UpdateItemOutput:
		return one(reply.ConsumedCapacity)
	case *dynamodb.TransactWriteItemsOutput:
		return reply.ConsumedCapacity
	}
	return nil
}

func (a *Attempt) count(c types.ConsumedCapacity, operation string) {
	units := aws.ToFloat64(c.CapacityUnits)
	switch {
	case c.WriteCapacityUnits != nil || c.ReadCapacityUnits != nil:
		a.Writes += aws.ToFloat64(c.WriteCapacityUnits)
		a.Reads += aws.ToFloat64(c.ReadCapacityUnits)
	case operation == "TransactWriteItems" || operation == "UpdateItem":
		a.Writes += units
	default:
		a.Reads += units
	}
	for _, indexes := range []map[string]types.Capacity{c.LocalSecondaryIndexes, c.GlobalSecondaryIndexes} {
		for name, index := range indexes {
			if a.Indexes == nil {
				a.Indexes = map[string]float64{}
			}
			a.Indexes[name] += aws.ToFloat64(index.CapacityUnits)
		}
	}
}

// counting says whether the service is asked what requests cost.
func (t *table) counting() types.ReturnConsumedCapacity {
	if t.options.Attempt == nil {
		return types.ReturnConsumedCapacityNone
	}
	return types.ReturnConsumedCapacityIndexes
}

// retryer returns what decides about another attempt: besides what the SDK sends
// again it sends transactions again that met another one, or no capacity.
func retryer(attempts int) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(pause)
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if isContended(err) || isThrottled(err) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		})}, o.Retryables...)
	})
}

// longestPause is the longest time between two attempts.
const longestPause = 5 * time.Second

// pause is how long to wait before another attempt: anything up to a bound that
// doubles, so that those who failed together do not come again together.
func pause(attempt int, err error) (time.Duration, error) {
	bound := 50 * time.Millisecond
	if isContended(err) {
		bound = 5 * time.Millisecond
	}
	bound = min(bound<<min(attempt, 16), longestPause)
	return bound/8 + rand.N(bound), nil
}

// reasonCodes are why a transaction was cancelled, one for each of its items.
func reasonCodes(err error) []string {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return nil
	}
	codes := make([]string, len(cancelled.CancellationReasons))
	for i, reason := range cancelled.CancellationReasons {
		codes[i] = aws.ToString(reason.Code)
	}
	return codes
}
