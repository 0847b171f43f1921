package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// commit adds a changeset to a stream, as the Elastic Event Store does.
func (h *Handler) commit(x *exchange) error {
	stream := x.streamID()
	if err := stream.Validate(); err != nil {
		return err
	}
	expected, err := x.expectation()
	if err != nil {
		return err
	}
	body, err := h.readBody(x)
	if err != nil {
		return err
	}
	changeset, err := decodeCommit(body)
	if err != nil {
		return err
	}
	changeset.Stream, changeset.Expect = stream, expected.expect
	a := daybook.Append{Changesets: []daybook.Changeset{changeset}}
	if key := x.request.Header.Get("Idempotency-Key"); key != "" {
		a.ID = daybook.IDOf(key)
	}
	receipt, err := h.store.AppendAll(x.context(), a)
	var conflict *daybook.ConflictError
	switch {
	case errors.As(err, &conflict) && conflict.Ahead():
		newest := int64(conflict.Found.Changeset)
		if expected.kind == "event" {
			newest = int64(conflict.Found.Version)
		}
		return refuse(codeExpectedChangeset, `the expected %s(%s) does not exist: the newest of stream "%s" is %d`, expected.kind, expected.text, stream.Name, newest)
	case errors.As(err, &conflict):
		return h.missed(x, expected, conflict)
	case err != nil:
		return err
	}
	replayed(x, receipt.Repeated)
	p := &pretty{x: x}
	p.open('{')
	p.stream(stream)
	p.number("changeset_id", int64(receipt.Changesets[0].Number))
	p.close('}')
	return nil
}

// replayed marks the reply to an append or deletion that had been made before.
func replayed(x *exchange, repeated bool) {
	if repeated {
		x.writer.Header().Set("Idempotency-Replayed", "true")
	}
}

// missed answers a conflict with every changeset behind the one that was
// expected.
func (h *Handler) missed(x *exchange, expected expectation, conflict *daybook.ConflictError) error {
	x.status = http.StatusConflict
	p := &pretty{x: x}
	p.open('{')
	p.stream(conflict.Stream)
	p.text("error", "OPTIMISTIC_CONCURRENCY_EXCEPTION")
	p.text("message", fmt.Sprintf(`stream "%s" has moved on: the expected last %s (%s) is not its last any more`, conflict.Stream.Name, expected.kind, expected.text))
	p.key("forthcoming_changesets")
	p.open('[')
	for i := range conflict.Missed {
		if err := p.changeset(&conflict.Missed[i]); err != nil {
			return err
		}
	}
	if conflict.Incomplete {
		if err := h.restMissed(x, p, conflict); err != nil {
			return err
		}
	}
	p.close(']')
	p.close('}')
	return nil
}

// restMissed writes the missed changesets that the conflict does not hold.
func (h *Handler) restMissed(x *exchange, p *pretty, conflict *daybook.ConflictError) error {
	from, err := h.restBegins(x.context(), conflict)
	if err != nil {
		return err
	}
	read := daybook.StreamRead{From: from, To: conflict.Found.Version}
	for changeset, err := range daybook.Changesets(h.store.ReadStream(x.context(), conflict.Stream, read)) {
		if err != nil {
			return err
		}
		if err := p.changeset(&changeset); err != nil {
			return err
		}
	}
	return nil
}

// restBegins returns the version at which the first missed changeset begins
// that the conflict does not hold.
func (h *Handler) restBegins(ctx context.Context, conflict *daybook.ConflictError) (daybook.Version, error) {
	if n := len(conflict.Missed); n > 0 {
		return conflict.Missed[n-1].Last() + 1, nil
	}
	version, expected := conflict.Expect.Version()
	if !expected {
		number, _ := conflict.Expect.Changeset()
		return h.versionOf(ctx, conflict.Stream, number+1, conflict.Found)
	}
	// The version may lie within a changeset, which was missed as a whole.
	record, err := first(h.store.ReadStream(ctx, conflict.Stream, daybook.StreamRead{From: version + 1, Limit: 1}))
	if err != nil || record == nil {
		return version + 1, err
	}
	return record.Changeset.First, nil
}

// changeset writes a changeset of a stream into the open list.
func (p *pretty) changeset(c *daybook.RecordedChangeset) error {
	p.line()
	p.open('{')
	p.number("changeset_id", int64(c.Number))
	p.events(c.Records)
	p.metadata(c.Metadata)
	p.close('}')
	return p.x.room()
}

// decodeCommit reads the body of a commit: an object with "events", a list of
// any JSON values, and "metadata", any JSON value. Other keys are ignored.
func decodeCommit(body []byte) (daybook.Changeset, error) {
	if len(body) == 0 {
		return daybook.Changeset{}, refuse(codeBody, `the body is missing: it must be a JSON object with "events"`)
	}
	if changeset, ok := quickCommit(body); ok {
		return changeset, nil
	}
	if !utf8.Valid(body) {
		return daybook.Changeset{}, refuse(codeBody, "the body must be valid UTF-8")
	}
	var members map[string]json.RawMessage
	err := json.Unmarshal(body, &members)
	if wrongKind := new(json.UnmarshalTypeError); errors.As(err, &wrongKind) || err == nil && members == nil {
		return daybook.Changeset{}, refuse(codeBody, `the body must be a JSON object with "events"`)
	}
	if err != nil {
		return daybook.Changeset{}, refuse(codeBody, "the body must be JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	events, given := members["events"]
	if !given {
		return daybook.Changeset{}, refuse(codeEvents, `"events" is missing: it must be a list of at least one event`)
	}
	var values []json.RawMessage
	if json.Unmarshal(events, &values) != nil || len(values) == 0 {
		return daybook.Changeset{}, refuse(codeEvents, `"events" must be a list of at least one event`)
	}
	return commitOf(values, members["metadata"]), nil
}

// quickCommit is decodeCommit for bodies that are written the common way, in
// one pass. What it returns shares the memory of the body.
func quickCommit(body []byte) (daybook.Changeset, bool) {
	var events, metadata []byte
	ok := wire.Members(body, func(key, value []byte) {
		switch string(key) {
		case "events":
			events = value
		case "metadata":
			metadata = value
		}
	})
	if !ok || events == nil {
		return daybook.Changeset{}, false
	}
	values, ok := wire.Values(events)
	if !ok || len(values) == 0 {
		return daybook.Changeset{}, false
	}
	return commitOf(values, metadata), true
}

// commitOf returns the changeset of a commit without its stream.
func commitOf(events []json.RawMessage, metadata []byte) daybook.Changeset {
	changeset := daybook.Changeset{Metadata: metadata, Events: make([]daybook.Event, len(events))}
	for i, data := range events {
		changeset.Events[i] = daybook.Event{Type: eventType(data), Data: data}
	}
	return changeset
}

// eventType returns the type of an event that has none of its own, which is
// every event of the Elastic Event Store: the member "type" of its data where
// that is a string that can be a type, else "event".
func eventType(data []byte) string {
	const none = "event"
	if data[0] != '{' {
		return none
	}
	var given []byte
	if !wire.Members(data, func(key, value []byte) {
		if string(key) == "type" {
			given = value
		}
	}) {
		var members map[string]json.RawMessage
		if json.Unmarshal(data, &members) != nil {
			return none
		}
		given = members["type"]
	}
	if len(given) == 0 || given[0] != '"' {
		return none
	}
	text := wire.Text(given[1 : len(given)-1])
	if bytes.IndexByte(given, '\\') >= 0 && json.Unmarshal(given, &text) != nil {
		return none
	}
	if text == "" || len(text) > daybook.MaxTypeLen || strings.IndexByte(string(text), 0) >= 0 {
		return none
	}
	return string(text)
}
