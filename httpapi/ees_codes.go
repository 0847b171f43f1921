package httpapi

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// The codes of the Elastic Event Store, and two in its style for what makes it
// crash: a body or events that are not what they should be.
const (
	codeMissingStream     = "MISSING_STREAM_ID"
	codeExpectedChangeset = "INVALID_EXPECTED_CHANGESET_ID"
	codeExpectedEvent     = "INVALID_EXPECTED_EVENT_ID"
	codeBothExpected      = "BOTH_EXPECTED_CHANGESET_AND_EVENT_ARE_SET"
	codeChangesetRange    = "INVALID_CHANGESET_FILTERING_PARAMS"
	codeEventRange        = "INVALID_EVENT_FILTERING_PARAMS"
	codeCheckpoint        = "INVALID_CHECKPOINT"
	codeLimit             = "INVALID_LIMIT"
	codeBody              = "INVALID_BODY"
	codeEvents            = "INVALID_EVENTS"
)

// refuse returns a 400 that tells the stream, if the path names one.
func refuse(code, format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...), stream: true}
}

// integer reads a whole number of any size; one that does not fit is the
// largest or smallest that does.
func integer(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, true
	}
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	if text[0] == '-' {
		return math.MinInt64, true
	}
	return math.MaxInt64, true
}

// expectation is what a commit expects of its stream, as the request says it.
type expectation struct {
	kind   string // "changeset" or "event"
	text   string // the number, in digits; "0" if none was given
	expect daybook.Expect
}

// expectation reads the parameters of a commit that say what it expects. None
// means: a new stream.
func (x *exchange) expectation() (expectation, error) {
	changeset, event := x.query.Get("expected_last_changeset"), x.query.Get("expected_last_event")
	number, err := expected(changeset, codeExpectedChangeset, "changeset")
	if err != nil {
		return expectation{}, err
	}
	version, err := expected(event, codeExpectedEvent, "event")
	switch {
	case err != nil:
		return expectation{}, err
	case changeset != "" && event != "":
		return expectation{}, refuse(codeBothExpected, `only one of "last_changeset_id" and "last_event_id" may be expected, both are given`)
	case event != "":
		return expectation{"event", digits(event), daybook.ExpectVersion(daybook.Version(version))}, nil
	case changeset != "":
		return expectation{"changeset", digits(changeset), daybook.ExpectChangeset(daybook.ChangesetNumber(number))}, nil
	default:
		return expectation{"changeset", "0", daybook.ExpectNone()}, nil
	}
}

// expected reads an expected number; the empty string stands for none.
func expected(text, code, kind string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, ok := integer(text)
	if !ok || n < 0 {
		return 0, refuse(code, `the expected last %s id("%s") is not valid: expected a positive integer`, kind, wire.Shorten(text))
	}
	return n, nil
}

// digits returns a number that is not negative as people write it, also where
// it is larger than any that is known.
func digits(text string) string {
	return wire.Shorten(cmp.Or(strings.TrimLeft(text, "+-0"), "0"))
}

// numberRange is a range of changesets or events, both ends inside.
type numberRange struct{ from, to int64 }

// numberRange reads the parameters from and to. The empty string and 0 stand
// for no bound.
func (x *exchange) numberRange(code string) (numberRange, error) {
	var bounds [2]int64
	for i, name := range []string{"from", "to"} {
		text := x.query.Get(name)
		if text == "" {
			continue
		}
		n, ok := integer(text)
		if !ok {
			return numberRange{}, refuse(code, `the parameter %s must be an integer, it is "%s"`, name, wire.Shorten(text))
		}
		bounds[i] = n
	}
	r := numberRange{from: bounds[0], to: bounds[1]}
	if r.from != 0 && r.to != 0 && r.from > r.to {
		return numberRange{}, refuse(code, "the range is empty: %d(from) > %d(to)", r.from, r.to)
	}
	if r.to == 0 {
		r.to = math.MaxInt64
	}
	r.from = max(r.from, 1)
	return r, nil
}
