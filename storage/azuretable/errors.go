package azuretable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/daybook-go/daybook"
)

// The codes of errors that are looked for by name.
const (
	codeExists   = "EntityAlreadyExists"
	codeNoTable  = "TableNotFound"
	codeNoRight  = "AuthorizationPermissionMismatch"
	codeDisabled = "AccountIsDisabled"
)

// RefusedError says that the service carried out nothing of a request, and that
// another attempt is in vain until something is changed. It matches
// daybook.ErrRefused, and daybook.ErrReadOnly where the right to write is
// missing.
type RefusedError struct {
	Status int
	Code   string // "AuthenticationFailed"
	Err    error
	Hint   string // what to do; "" where the service's words say all
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("azuretable: the service refused it: %d %s", e.Status, e.Code)
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Unwrap returns what the service said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *RefusedError) Is(target error) bool {
	return target == daybook.ErrRefused || target == daybook.ErrReadOnly && e.Code == codeNoRight
}

// UnavailableError says that the service did not answer, or had no time. It does
// not match daybook.ErrRefused: what was sent may have been done.
type UnavailableError struct {
	Status int // 0 where there was no answer
	Code   string
	Err    error
}

func (e *UnavailableError) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("azuretable: no answer from the service: %v: check the endpoint, and that this machine may connect", e.Err)
	}
	return fmt.Sprintf("azuretable: the service is busy or down: %d %s", e.Status, e.Code)
}

// Unwrap returns what went wrong underneath.
func (e *UnavailableError) Unwrap() error { return e.Err }

// hints are what to do about what the service refuses, by its code.
var hints = map[string]string{
	"AuthenticationFailed":             "check the account key, or the shared access signature: it may have expired, or the clock of this machine be wrong",
	"AuthorizationFailure":             "the signature or the network rules of the account do not allow it",
	codeNoRight:                        "the signature or the role lacks the right: reading needs r, writing a and u besides; as a role, Storage Table Data Contributor",
	"InvalidAuthenticationInfo":        "the account takes no such credential",
	codeNoTable:                        "the table does not exist, and may not be created with these rights",
	"RequestBodyTooLarge":              "the service takes no request of that size",
	"EntityTooLarge":                   "the service takes no row of that size",
	codeDisabled:                       "the account is disabled",
	"AccountBeingCreated":              "the account is not ready yet",
	"InsufficientAccountPermissions":   "the account may not be written to",
	"KeyBasedAuthenticationNotAllowed": "the account takes no keys: use azuretable://ACCOUNT.table.core.windows.net/TABLE with an identity",
}

// explained makes of an error of the SDK one that says whether anything may have
// been carried out, and what to do.
func explained(err error) error {
	if err == nil {
		return nil
	}
	var batch *BatchError
	var response *azcore.ResponseError
	var refused *RefusedError
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &refused), errors.As(err, &unavailable), errors.Is(err, daybook.ErrCorrupt):
		return err
	case errors.As(err, &batch):
		return verdict(batch.Status, batch.Code, batch)
	case errors.As(err, &response):
		return verdict(response.StatusCode, response.ErrorCode, response)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	return &UnavailableError{Err: withoutQuery(err)}
}

// verdict says what a status means.
func verdict(status int, code string, err error) error {
	if status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status < 300 {
		return &UnavailableError{Status: status, Code: code, Err: err}
	}
	return &RefusedError{Status: status, Code: code, Err: err, Hint: hints[code]}
}

// withoutQuery takes the query out of the URL in an error: it may hold a
// signature.
func withoutQuery(err error) error {
	var at *url.Error
	if !errors.As(err, &at) {
		return err
	}
	place := "the service"
	if parsed, parsing := url.Parse(at.URL); parsing == nil {
		place = parsed.Scheme + "://" + parsed.Host + parsed.Path
	}
	return &url.Error{Op: at.Op, URL: place, Err: at.Err}
}

// isExists reports whether a row was refused because it is there.
func isExists(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && refused.Code == codeExists
}

// isOvertaken reports whether a row was refused because somebody else has
// written it.
func isOvertaken(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && (refused.Code == codeExists || refused.Status == http.StatusPreconditionFailed || refused.Status == http.StatusNotFound && refused.Code != codeNoTable)
}
