package azureblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/daybook-go/daybook"
)

// RefusedError says that the service refused a request, and will refuse it
// again. It matches daybook.ErrRefused, and daybook.ErrReadOnly where the right
// to write is missing.
type RefusedError struct {
	Status int    // of HTTP
	Code   string // the service's own: "AuthorizationPermissionMismatch"
	Hint   string // what to do; "" where the code says all
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("azureblob: the service answered %d %s", e.Status, e.Code)
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Is reports whether target is a question that e answers with yes.
func (e *RefusedError) Is(target error) bool {
	switch target {
	case daybook.ErrReadOnly:
		return e.Code == string(bloberror.AuthorizationPermissionMismatch) || e.Code == string(bloberror.InsufficientAccountPermissions)
	case daybook.ErrRefused:
		return true
	}
	return false
}

// LockedError says that another process has a directory open.
type LockedError struct{ Dir string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("azureblob: another process has the directory %s open: close it, or name another directory", e.Dir)
}

// UnavailableError says that the service could not be reached, or had no time,
// for as long as Options.Patience. It does not match daybook.ErrRefused: what
// was sent may have been done.
type UnavailableError struct {
	Doing string // "appending"
	Err   error  // the last one
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("azureblob: %s failed again and again: %s", e.Doing, brief(e.Err))
}

// Unwrap returns what went wrong underneath.
func (e *UnavailableError) Unwrap() error { return e.Err }

// unknownError hides that a refusal may match daybook.ErrRefused: what was sent
// before may be done.
type unknownError struct{ err error }

func (e *unknownError) Error() string {
	return "azureblob: it was sent before and may be stored, the outcome is unknown; now the answer is: " + e.err.Error()
}

// brokenReadError says that the bytes of an answer broke off.
type brokenReadError struct{ err error }

func (e *brokenReadError) Error() string { return "the answer broke off: " + e.err.Error() }
func (e *brokenReadError) Unwrap() error { return e.err }

// hints are what to do about what the service refuses, by its code.
var hints = map[bloberror.Code]string{
	bloberror.AuthenticationFailed:            "check the key; or the shared access signature: it may have expired, or not be valid yet",
	bloberror.AuthorizationFailure:            "the shared access signature may have expired, or not be valid here; or the account may be closed to this network",
	bloberror.AuthorizationPermissionMismatch: "the identity or the shared access signature lacks a right: see README.md of storage/azureblob",
	bloberror.InsufficientAccountPermissions:  "the identity or the shared access signature lacks a right: see README.md of storage/azureblob",
	bloberror.ContainerNotFound:               "create the container, or name another",
	bloberror.ContainerBeingDeleted:           "the container is being deleted: wait, or name another",
	bloberror.InvalidBlobType:                 "a blob of the log's name is no append blob: name another container",
	"BlobIsSealed":                            "the append blob was sealed, so that nothing can be stored behind it: name another container",
	bloberror.LeaseIDMissing:                  "somebody holds a lease on the blob: break it",
	bloberror.BlobImmutableDueToPolicy:        "a policy keeps the blob from changing: allow protected append writes in it",
	bloberror.AccountIsDisabled:               "the storage account is disabled",
	bloberror.InvalidAuthenticationInfo:       "check the key, the shared access signature or the identity",
	bloberror.NoAuthenticationInformation:     "name a key, a shared access signature or an identity",
	"PublicAccessNotPermitted":                "name a key, a shared access signature or an identity",
	bloberror.BlobArchived:                    "a blob of the log is archived: rehydrate it",
}

// explained makes of an error of the SDK one of ours. What may be done already
// is told by the caller.
func explained(err error) error {
	var from *azcore.ResponseError
	if !errors.As(err, &from) || isTransient(err) {
		return err
	}
	return &RefusedError{Status: from.StatusCode, Code: from.ErrorCode, Hint: hints[bloberror.Code(from.ErrorCode)]}
}

// brief is an error of the SDK in one line.
func brief(err error) string {
	var from *azcore.ResponseError
	if errors.As(err, &from) {
		return fmt.Sprintf("the service answered %d %s", from.StatusCode, from.ErrorCode)
	}
	return err.Error()
}

// isTransient reports whether an error may go away by itself. What was sent may
// have been done.
func isTransient(err error) bool {
	var from *azcore.ResponseError
	if errors.As(err, &from) {
		switch from.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests:
			return true
		}
		return from.StatusCode >= 500 && from.StatusCode != http.StatusNotImplemented
	}
	var corrupt *daybook.CorruptError
	var refused *RefusedError
	switch {
	case errors.Is(err, errMissing), errors.Is(err, errMoved), errors.Is(err, errFull), errors.Is(err, daybook.ErrFull):
		return false
	case errors.As(err, &corrupt), errors.As(err, &refused), errors.Is(err, daybook.ErrRefused):
		return false
	case errors.As(err, new(*fileError)):
		return false
	case errors.As(err, new(*brokenReadError)), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return true
	}
	return errors.As(err, new(interface{ Timeout() bool })) || errors.Is(err, io.EOF)
}

// isRefusal reports whether an append that was answered with err was not stored,
// and will not be by that request.
func isRefusal(err error) bool {
	if errors.Is(err, errMoved) || errors.Is(err, errFull) || errors.Is(err, errMissing) || errors.Is(err, daybook.ErrRefused) {
		return true
	}
	var from *azcore.ResponseError
	return errors.As(err, &from) && !isTransient(err) && from.StatusCode >= 400
}

// Pauses between tries grow from the first to the longest.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 4 * time.Second
)

// pauses counts the tries of something that fails for the moment.
type pauses struct {
	driver *Driver
	until  time.Time
	pause  time.Duration
	doing  string
	tries  int
}

// wait waits before the next try, for as long as the service asks or a little
// longer each time. It returns an error when there should be none.
func (p *pauses) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := time.Now()
	if p.tries == 0 {
		p.until, p.pause = now.Add(p.driver.options.Patience), firstPause
	}
	p.tries++
	pause := p.pause/2 + rand.N(p.pause/2)
	if asked := retryAfter(err); asked > pause {
		pause = asked
	}
	if now.Add(pause).After(p.until) {
		return &UnavailableError{Doing: p.doing, Err: err}
	}
	p.pause = min(2*p.pause, longestPause)
	p.driver.options.Logger.Warn("the service failed, trying again", "doing", p.doing, "try", p.tries, "error", brief(err))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.driver.closing:
		return &UnavailableError{Doing: p.doing, Err: err}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter is how long the service asks to wait.
func retryAfter(err error) time.Duration {
	var from *azcore.ResponseError
	if !errors.As(err, &from) || from.RawResponse == nil {
		return 0
	}
	if ms, err := strconv.Atoi(from.RawResponse.Header.Get("x-ms-retry-after-ms")); err == nil {
		return time.Duration(ms) * time.Millisecond
	}
	if s, err := strconv.Atoi(from.RawResponse.Header.Get("Retry-After")); err == nil {
		return time.Duration(s) * time.Second
	}
	return 0
}

// again does something that may be done twice until it succeeds, fails for good,
// or patience ends.
func (d *Driver) again(ctx context.Context, what string, do func(context.Context) error) error {
	p := pauses{driver: d, doing: what}
	for {
		err := do(ctx)
		if err == nil || !isTransient(err) {
			return explained(err)
		}
		if err := p.wait(ctx, err); err != nil {
			return err
		}
	}
}
