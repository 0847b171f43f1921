package cosmos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/daybook-go/daybook"
)

// RefusedError says that the service carried out nothing of a request. It
// matches daybook.ErrRefused.
type RefusedError struct {
	Err  error
	Hint string // what to do
}

func (e *RefusedError) Error() string { return fmt.Sprintf("cosmos: %s: %s", e.Hint, brief(e.Err)) }

// Unwrap returns what the service said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *RefusedError) Is(target error) bool { return target == daybook.ErrRefused }

// ThrottledError says that the service had no throughput left for a request for
// as long as the driver was patient. Nothing was stored. It matches
// daybook.ErrRefused.
type ThrottledError struct {
	After time.Duration // how long the service asked to wait still
	Err   error
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("cosmos: throttled: the container has no request units left, nothing was stored; give it more, or append later (in %v): %s", e.After, brief(e.Err))
}

// Unwrap returns what the service said.
func (e *ThrottledError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *ThrottledError) Is(target error) bool { return target == daybook.ErrRefused }

// UnknownError says that a request may have been carried out, or not: the
// answer was lost, or the service could not say. Send the same append again.
type UnknownError struct{ Err error }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("cosmos: the outcome is unknown: %s", brief(e.Err))
}

// Unwrap returns what went wrong underneath; nil where that says that something
// was refused: the last try was, and an earlier one may have been carried out.
func (e *UnknownError) Unwrap() error {
	if errors.Is(e.Err, daybook.ErrRefused) {
		return nil
	}
	return e.Err
}

// FullError says that the partition of an append is as large as the service
// lets a logical partition be. It matches daybook.ErrFull.
type FullError struct {
	Partition string
	Err       error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("cosmos: partition %q has the 20 GB that one may have, nothing of the append was stored: append to another partition: %s", e.Partition, brief(e.Err))
}

// Unwrap returns what the service said.
func (e *FullError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *FullError) Is(target error) bool {
	return target == daybook.ErrFull || target == daybook.ErrRefused
}

// brief is what an error says, without the whole answer of the service.
func brief(err error) string {
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return fmt.Sprintf("status %d %s", response.StatusCode, response.ErrorCode)
	}
	return err.Error()
}

// outcome is what became of a request that failed.
type outcome int

const (
	final     outcome = iota // it was refused, and will be again
	again                    // it was not carried out; it may be sent again
	uncertain                // it was carried out, or not
)

// subStatusFull tells that a logical partition has no room.
// https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb
const subStatusFull = "1014"

// outcomeOf returns what became of a request, and how long the service asks to
// wait before it is sent again; 0 where it does not say.
// https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb
func outcomeOf(err error) (outcome, time.Duration) {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return uncertain, 0 // the connection: it may have been carried out
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return again, retryAfter(response.RawResponse)
	case 449: // "Retry With": another write to the same item was under way
		return again, retryAfter(response.RawResponse)
	case http.StatusRequestTimeout, http.StatusGone, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return uncertain, retryAfter(response.RawResponse)
	}
	return final, 0
}

// retryAfter returns how long the service asks to wait.
func retryAfter(response *http.Response) time.Duration {
	if response == nil {
		return 0
	}
	if ms, err := strconv.ParseFloat(response.Header.Get("x-ms-retry-after-ms"), 64); err == nil && ms > 0 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	return 0
}

// explained adds to the final error of a request what can be done about it.
func explained(err error) error {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || errors.Is(err, daybook.ErrRefused) {
		return err
	}
	hint := ""
	switch response.StatusCode {
	case http.StatusUnauthorized:
		hint = "the key is wrong, or the clock of this machine is: check AccountKey"
	case http.StatusForbidden:
		hint = "the identity may not do this, or the firewall of the account lets nobody in from here: see the README of this driver, Roles"
	case http.StatusNotFound:
		hint = "the account has no such database or container: make it, or open with Options.Create"
	case http.StatusRequestEntityTooLarge:
		hint = "the service takes no request that large"
	default:
		hint = "the service refused the request"
	}
	return &RefusedError{Err: err, Hint: hint}
}

// statusOf returns the status of the service's answer; 0 where there is none.
func statusOf(err error) int {
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return response.StatusCode
	}
	return 0
}

// isOver reports whether an error is that of a context.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// subStatus returns what the service says besides the status.
func subStatus(err error) string {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || response.RawResponse == nil {
		return ""
	}
	return response.RawResponse.Header.Get("x-ms-substatus")
}
