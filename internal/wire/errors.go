package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/daybook-go/daybook"
)

// code is one kind of error: how it is named and answered over HTTP.
type code struct {
	name   string
	status int
}

// The table of errors and statuses. codeOf maps an error to its row, and
// DecodeError maps the name of a row back to the error.
var (
	codeInvalid     = code{"INVALID_INPUT", http.StatusBadRequest}
	codeLimit       = code{"LIMIT_EXCEEDED", http.StatusRequestEntityTooLarge}
	codeConflict    = code{"OPTIMISTIC_CONCURRENCY_EXCEPTION", http.StatusConflict}
	codeCondition   = code{"CONDITION_FAILED", http.StatusConflict}
	codeClaim       = code{"CLAIM_HELD", http.StatusConflict}
	codeReference   = code{"REFERENCE_MISSING", http.StatusConflict}
	codeNotFound    = code{"STREAM_NOT_FOUND", http.StatusNotFound}
	codeReused      = code{"APPEND_ID_REUSED", http.StatusUnprocessableEntity}
	codeDeletion    = code{"DELETION_ID_REUSED", http.StatusUnprocessableEntity}
	codeUnsupported = code{"NOT_SUPPORTED", http.StatusNotImplemented}
	codeReadOnly    = code{"READ_ONLY", http.StatusForbidden}
	codeClosed      = code{"CLOSED", http.StatusServiceUnavailable}
	codeRefused     = code{"REFUSED", http.StatusServiceUnavailable}
	codeFull        = code{"STORAGE_FULL", http.StatusInsufficientStorage}
	codeFailed      = code{"STORAGE_FAILED", http.StatusServiceUnavailable}
	codeCorrupt     = code{"CORRUPT", http.StatusInternalServerError}
	codeTimeout     = code{"TIMEOUT", http.StatusGatewayTimeout}
	codeInternal    = code{"INTERNAL", http.StatusInternalServerError}
)

// StreamNotFoundError says that a stream that was to be read has no records.
type StreamNotFoundError struct {
	Stream daybook.StreamID
	Head   daybook.Head // where it ended, if its records were deleted and this is to be told
}

func (e *StreamNotFoundError) Error() string {
	return fmt.Sprintf("stream(%s) was not found", e.Stream)
}

// codeOf returns the row of the table that err belongs to.
func codeOf(err error) code {
	as := func(target any) bool { return errors.As(err, target) }
	var reused *daybook.ReusedIDError
	switch {
	case as(new(*daybook.InvalidError)):
		return codeInvalid
	case as(new(*daybook.LimitError)):
		return codeLimit
	case as(new(*daybook.ConflictError)):
		return codeConflict
	case as(new(*daybook.ConditionError)):
		return codeCondition
	case as(new(*daybook.ClaimError)):
		return codeClaim
	case as(new(*daybook.ReferenceError)):
		return codeReference
	case as(new(*StreamNotFoundError)):
		return codeNotFound
	case as(&reused) && reused.Deletion:
		return codeDeletion
	case reused != nil:
		return codeReused
	case as(new(*daybook.UnsupportedError)):
		return codeUnsupported
	case as(new(*daybook.CorruptError)):
		return codeCorrupt
	case errors.Is(err, daybook.ErrReadOnly):
		return codeReadOnly
	case errors.Is(err, daybook.ErrClosed):
		return codeClosed
	case errors.Is(err, daybook.ErrFull):
		return codeFull
	case errors.Is(err, daybook.ErrRefused):
		return codeRefused
	case errors.Is(err, daybook.ErrFailed):
		return codeFailed
	case errors.Is(err, context.DeadlineExceeded):
		return codeTimeout
	default:
		return codeInternal
	}
}

// Status returns the HTTP status and the error code that answer err.
func Status(err error) (int, string) {
	c := codeOf(err)
	return c.status, c.name
}

// AppendError appends the JSON of an error: "error", "message" and what else
// the error knows. What an internal error says stays inside; message tells
// people where to look.
func AppendError(out []byte, err error) []byte {
	return appendError(out, err, daybook.StreamID{})
}

// AppendStreamError is AppendError for a request that names a stream: the
// stream is told, whatever the error is.
func AppendStreamError(out []byte, stream daybook.StreamID, err error) []byte {
	return appendError(out, err, stream)
}

func appendError(out []byte, err error, stream daybook.StreamID) []byte {
	c := codeOf(err)
	w := &writer{out: out}
	w.out = append(w.out, '{')
	w.text("error", c.name)
	switch c {
	case codeInternal:
		w.text("message", "the server could not do it, its log says why; the outcome of an append or deletion is unknown: send it again with the same id")
	case codeFull:
		w.text("message", "the storage has no room, the server's log says where; nothing of this was stored: send it again when there is room, reading goes on meanwhile")
	case codeFailed:
		w.text("message", "the storage failed, as the server's log tells: start the server again; until then it is only read; the outcome of an append or deletion is unknown: send it again then")
	default:
		w.text("message", valid(err.Error()))
	}
	if toldStream := w.facts(err); !toldStream && stream.Name != "" {
		w.text("stream_id", valid(stream.Name))
		w.optional("partition", valid(stream.Partition))
	}
	w.close('}')
	return w.out
}

// facts writes the fields of a typed error into the open object. It reports
// whether a stream is among them.
func (w *writer) facts(err error) bool {
	var (
		wrong     *daybook.InvalidError
		limit     *daybook.LimitError
		conflict  *daybook.ConflictError
		condition *daybook.ConditionError
		claim     *daybook.ClaimError
		reference *daybook.ReferenceError
		reused    *daybook.ReusedIDError
		unknown   *StreamNotFoundError
		missing   *daybook.UnsupportedError
		corrupt   *daybook.CorruptError
	)
	switch {
	case errors.As(err, &wrong):
		w.text("field", valid(wrong.Field))
		w.text("value", valid(wrong.Value))
		w.text("reason", valid(wrong.Reason))
	case errors.As(err, &limit):
		w.text("field", valid(limit.Field))
		w.number("value", limit.Value)
		w.number("limit", limit.Limit)
		w.text("unit", limit.Unit)
	case errors.As(err, &conflict):
		w.conflict(conflict)
		return true
	case errors.As(err, &condition):
		w.key("condition")
		w.condition(&condition.Condition)
		w.number("found", int64(condition.Found))
		list(w, "records", condition.Records, appendObject)
		w.boolean("incomplete", condition.Incomplete)
	case errors.As(err, &claim):
		w.stream(claim.Stream)
		w.key("claim")
		w.claim(claim.Claim)
		w.key("holder")
		w.object(claim.Holder)
		return true
	case errors.As(err, &reference):
		w.stream(reference.Stream)
		w.key("reference")
		w.object(reference.Reference)
		return true
	case errors.As(err, &unknown):
		w.stream(unknown.Stream)
		if unknown.Head.Version > 0 {
			w.key("head")
			w.open('{')
			w.place(unknown.Head)
			w.close('}')
		}
		return true
	case errors.As(err, &reused) && reused.Deletion:
		w.text("deletion_id", reused.ID.String())
	case reused != nil:
		w.text("append_id", reused.ID.String())
	case errors.As(err, &missing):
		w.text("driver", missing.Driver)
		w.text("feature", missing.Feature)
	case errors.As(err, &corrupt):
		w.text("file", valid(corrupt.File))
		w.number("offset", corrupt.Offset)
		w.number("position", int64(corrupt.Position))
		w.text("reason", valid(corrupt.Reason))
	}
	return false
}

// conflict writes the facts of a conflict: what was expected, what was found,
// and the records of the changesets that were missed.
func (w *writer) conflict(e *daybook.ConflictError) {
	w.stream(e.Stream)
	w.key("expect")
	w.expect(e.Expect)
	w.key("found")
	w.open('{')
	w.place(e.Found)
	w.close('}')
	w.boolean("ahead", e.Ahead())
	var records []daybook.Record
	for _, changeset := range e.Missed {
		records = append(records, changeset.Records...)
	}
	list(w, "missed", records, appendObject)
	w.boolean("incomplete", e.Incomplete)
}

// object writes a stream id as an object.
func (w *writer) object(id daybook.StreamID) {
	w.open('{')
	w.stream(id)
	w.close('}')
}

// wrong is the body of an error as JSON brings it.
type wrong struct {
	Error      string           `json:"error"`
	Message    string           `json:"message"`
	Field      string           `json:"field"`
	Value      json.RawMessage  `json:"value"`
	Reason     string           `json:"reason"`
	Limit      int64            `json:"limit"`
	Unit       string           `json:"unit"`
	Expect     Expect           `json:"expect"`
	Found      json.RawMessage  `json:"found"`
	Missed     []Record         `json:"missed"`
	Incomplete bool             `json:"incomplete"`
	Ahead      bool             `json:"ahead"`
	Condition  Condition        `json:"condition"`
	Records    []Record         `json:"records"`
	Claim      Claim            `json:"claim"`
	Holder     StreamID         `json:"holder"`
	Reference  StreamID         `json:"reference"`
	Head       head             `json:"head"`
	AppendID   daybook.ID       `json:"append_id"`
	DeletionID daybook.ID       `json:"deletion_id"`
	Driver     string           `json:"driver"`
	Feature    string           `json:"feature"`
	File       string           `json:"file"`
	Offset     int64            `json:"offset"`
	Position   daybook.Position `json:"position"`
	StreamID
}

// DecodeError returns the error that the body of a reply stands for: the typed
// one where it names one, else one that tells status and message.
func DecodeError(status int, body []byte) error {
	var e wrong
	if err := json.Unmarshal(body, &e); err != nil || e.Error == "" {
		return fmt.Errorf("the server answered %d %s", status, http.StatusText(status))
	}
	switch e.Error {
	case codeInvalid.name:
		return &daybook.InvalidError{Field: e.Field, Value: plain(e.Value), Reason: e.Reason}
	case codeLimit.name:
		var value int64
		_ = json.Unmarshal(e.Value, &value) // a value that is no number leaves 0
		return &daybook.LimitError{Field: e.Field, Value: value, Limit: e.Limit, Unit: e.Unit}
	case codeConflict.name:
		return e.conflict()
	case codeCondition.name:
		return e.condition()
	case codeClaim.name:
		return &daybook.ClaimError{Stream: e.StreamID.ID(), Claim: e.Claim.Claim(), Holder: e.Holder.ID()}
	case codeReference.name:
		return &daybook.ReferenceError{Stream: e.StreamID.ID(), Reference: e.Reference.ID()}
	case codeNotFound.name:
		return &StreamNotFoundError{Stream: e.StreamID.ID(), Head: e.Head.head()}
	case codeReused.name:
		return &daybook.ReusedIDError{ID: e.AppendID}
	case codeDeletion.name:
		return &daybook.ReusedIDError{ID: e.DeletionID, Deletion: true}
	case codeUnsupported.name:
		return &daybook.UnsupportedError{Driver: e.Driver, Feature: e.Feature}
	case codeReadOnly.name:
		return fmt.Errorf("the server: %w", daybook.ErrReadOnly)
	case codeRefused.name, codeClosed.name:
		return fmt.Errorf("the server: %s: %w", e.Message, daybook.ErrRefused)
	case codeFull.name:
		return fmt.Errorf("the server: %w", daybook.ErrFull)
	case codeFailed.name:
		return fmt.Errorf("the server: %w", daybook.ErrFailed)
	case codeCorrupt.name:
		return &daybook.CorruptError{File: e.File, Offset: e.Offset, Position: e.Position, Reason: e.Reason}
	}
	return fmt.Errorf("the server answered %d %s: %s", status, e.Error, e.Message)
}

func (e *wrong) conflict() error {
	var found head
	if err := json.Unmarshal(e.Found, &found); err != nil {
		return fmt.Errorf("a conflict that cannot be read: %w", err)
	}
	conflict := &daybook.ConflictError{Stream: e.StreamID.ID(), Expect: e.Expect.Expect, Found: found.head(), Incomplete: e.Incomplete}
	records, err := decodeRecords(e.Missed)
	if err != nil {
		return err
	}
	sequence := func(yield func(daybook.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
	for changeset := range daybook.Changesets(sequence) {
		conflict.Missed = append(conflict.Missed, changeset)
	}
	return conflict
}

func (e *wrong) condition() error {
	records, err := decodeRecords(e.Records)
	if err != nil {
		return err
	}
	var found daybook.Position
	if err := json.Unmarshal(e.Found, &found); err != nil {
		return fmt.Errorf("a failed condition that cannot be read: %w", err)
	}
	return &daybook.ConditionError{
		Condition: daybook.Condition{Query: e.Condition.Query.Query(), After: e.Condition.After},
		Found:     found, Records: records, Incomplete: e.Incomplete,
	}
}

func decodeRecords(lines []Record) ([]daybook.Record, error) {
	var records []daybook.Record
	for i := range lines {
		record, err := lines[i].Record()
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// plain returns the text of a JSON value: a string without its quotes.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
