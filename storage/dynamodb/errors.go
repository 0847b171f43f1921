package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/daybook-go/daybook"
)

// RefusedError says that the service carried out nothing of a request, and that
// another attempt is in vain until something is changed. It matches
// daybook.ErrRefused, and daybook.ErrReadOnly where the right to write is
// missing.
type RefusedError struct {
	Code string // "AccessDeniedException"
	Err  error
	Hint string // what to do; "" where the service's words say all
}

func (e *RefusedError) Error() string {
	if e.Hint != "" {
		return fmt.Sprintf("dynamodb: the service refused it: %s: %s", e.Code, e.Hint)
	}
	return fmt.Sprintf("dynamodb: the service refused it: %s: %s", e.Code, messageOf(e.Err))
}

// Unwrap returns what the service said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *RefusedError) Is(target error) bool {
	return target == daybook.ErrRefused || target == daybook.ErrReadOnly && e.Code == codeNoRight
}

// ThrottledError says that the service had no capacity left, in all attempts.
// What was sent may have been done by an earlier one.
type ThrottledError struct{ Err error }

func (e *ThrottledError) Error() string {
	return "dynamodb: the table has no capacity left: give it more, or bill it on demand: " + messageOf(e.Err)
}

// Unwrap returns what the service said.
func (e *ThrottledError) Unwrap() error { return e.Err }

// UnavailableError says that the service did not answer, or failed. What was
// sent may have been done.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string {
	return "dynamodb: no answer from the service: check region, endpoint and network: " + messageOf(e.Err)
}

// Unwrap returns what went wrong underneath.
func (e *UnavailableError) Unwrap() error { return e.Err }

// ContendedError says that other transactions were in the way, in all attempts.
// What was sent may have been done by an earlier one.
type ContendedError struct{ Err error }

func (e *ContendedError) Error() string {
	return "dynamodb: other transactions were in the way, each time: too many processes append at once"
}

// Unwrap returns what the service said.
func (e *ContendedError) Unwrap() error { return e.Err }

// FullError says that a stream has reached the 10 GB that the service keeps of
// one partition key of a table with local indexes. It matches daybook.ErrFull.
type FullError struct{ Err error }

func (e *FullError) Error() string {
	return "dynamodb: a stream has reached 10 GB, which is all that the table takes of one; nothing of the append was stored: begin another stream"
}

// Unwrap returns what the service said.
func (e *FullError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *FullError) Is(target error) bool {
	return target == daybook.ErrFull || target == daybook.ErrRefused
}

// ForeignError says that EES has written a changeset that is not in the log yet.
// Nothing of the append was stored. It matches daybook.ErrRefused.
type ForeignError struct{ Reason string }

func (e *ForeignError) Error() string { return "dynamodb: " + e.Reason }

// Is reports whether target is a question that e answers with yes.
func (e *ForeignError) Is(target error) bool { return target == daybook.ErrRefused }

// Codes of the service that are looked for by name.
const (
	codeNoRight    = "AccessDeniedException"
	codeNoTable    = "ResourceNotFoundException"
	codeCondition  = "ConditionalCheckFailed"
	codeConflict   = "TransactionConflict"
	codeCollection = "ItemCollectionSizeLimitExceeded"
)

// hints are what to do about what the service refuses, by its code.
var hints = map[string]string{
	codeNoRight:                       "the credentials may not do this on the table: README.md of the driver has the policy",
	codeNoTable:                       "the table does not exist: daybook migrate makes it",
	"UnrecognizedClientException":     "the credentials are not known there: check AWS_ACCESS_KEY_ID and the region",
	"InvalidSignatureException":       "the secret of the credentials is wrong, or the clock of this machine",
	"ExpiredTokenException":           "the credentials have expired",
	"MissingAuthenticationToken":      "there are no credentials",
	"IncompleteSignatureException":    "the credentials are not complete",
	"AccessDenied":                    "the credentials may not do this on the table: README.md of the driver has the policy",
	"ResourceInUseException":          "the table is being made or changed: try again",
	"LimitExceededException":          "the account has reached a limit of the service",
	"ValidationException":             "",
	"SerializationException":          "",
	"TransactionCanceledException":    "",
	"ConditionalCheckFailedException": "",
}

// throttles are the codes of what the service had no capacity for.
var throttles = []string{
	"ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", "ThrottlingError", "ThrottlingException", "Throttling",
	"RequestLimitExceeded", "TooManyRequestsException",
}

// isThrottled reports whether the service had no capacity for a request. A
// transaction was throttled if that is the only thing that was in its way, or
// with a conflict.
func isThrottled(err error) bool {
	if codes := reasonCodes(err); codes != nil {
		return only(codes, append([]string{codeConflict}, throttles...)) && !only(codes, []string{codeConflict})
	}
	var service smithy.APIError
	return errors.As(err, &service) && slices.Contains(throttles, service.ErrorCode())
}

// isContended reports whether only another transaction was in the way, which may
// have ended meanwhile.
func isContended(err error) bool {
	if codes := reasonCodes(err); codes != nil {
		return only(codes, []string{codeConflict})
	}
	var service smithy.APIError
	return errors.As(err, &service) && (service.ErrorCode() == "TransactionInProgressException" || service.ErrorCode() == "TransactionConflictException")
}

// only reports whether all codes that say something are among some.
func only(codes, some []string) bool {
	said := false
	for _, code := range codes {
		if code != "" && code != "None" {
			if !slices.Contains(some, code) {
				return false
			}
			said = true
		}
	}
	return said
}

// isUnclear reports whether what was sent may have been carried out.
func isUnclear(err error) bool {
	if isThrottled(err) || isContended(err) {
		return false
	}
	var service smithy.APIError
	if !errors.As(err, &service) {
		return true
	}
	_, refused := hints[service.ErrorCode()]
	return !refused
}

// explained makes of an error of the SDK one that says whether anything may have
// been carried out, and what to do.
func explained(err error) error {
	var service smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded) && !errors.As(err, new(*retry.MaxAttemptsError)):
		return context.DeadlineExceeded
	case isThrottled(err):
		return &ThrottledError{Err: err}
	case isContended(err):
		return &ContendedError{Err: err}
	case slices.Contains(reasonCodes(err), codeCollection):
		return &FullError{Err: err}
	case errors.As(err, &service):
		if service.ErrorCode() == "ItemCollectionSizeLimitExceededException" {
			return &FullError{Err: err}
		}
		if hint, refused := hints[service.ErrorCode()]; refused {
			return &RefusedError{Code: service.ErrorCode(), Err: err, Hint: hint}
		}
	}
	return &UnavailableError{Err: err}
}

// messageOf is what the service said, without the SDK's words around it.
func messageOf(err error) string {
	var service smithy.APIError
	if errors.As(err, &service) {
		return fmt.Sprintf("%s: %s", service.ErrorCode(), service.ErrorMessage())
	}
	return err.Error()
}

// corrupt is the error for an item that is not as it must be.
func corrupt(format string, values ...any) error {
	return fmt.Errorf("dynamodb: %w: %s", daybook.ErrCorrupt, fmt.Sprintf(format, values...))
}
