package postgres

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
)

// maxSchemaLen is how long PostgreSQL lets a name be, in bytes.
const maxSchemaLen = 63

// cutSchema takes the parameter schema out of a URL: pgx would hand it to the
// server, which knows none of that name.
func cutSchema(address string) (rest, schema string, err error) {
	scheme, _, found := strings.Cut(address, "://")
	if !found || !slices.Contains([]string{"postgres", "postgresql"}, scheme) {
		return "", "", badURL("it must begin with postgres:// or postgresql://")
	}
	before, query, found := strings.Cut(address, "?")
	if !found {
		return address, "", nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", badURL(unreadable)
	}
	schema = values.Get("schema")
	values.Del("schema")
	if len(values) == 0 {
		return before, schema, nil
	}
	return before + "?" + values.Encode(), schema, nil
}

// namesParameter reports whether a URL has a parameter.
func namesParameter(address, name string) bool {
	_, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	return err == nil && values.Has(name)
}

func checkSchema(name string) error {
	switch {
	case len(name) > maxSchemaLen:
		return &daybook.LimitError{Field: "schema", Value: int64(len(name)), Limit: maxSchemaLen, Unit: "bytes"}
	case name == "" || strings.ContainsAny(name, "\x00'\"\\$") || strings.HasPrefix(name, "pg_"):
		return &daybook.InvalidError{Field: "schema", Value: strconv.Quote(name), Reason: "must be a name that does not begin with pg_, without quotes, backslashes and dollar signs"}
	}
	return nil
}

// unreadable is what is wrong with a URL whose parts cannot be told apart: then
// nothing of it is told, it may be a piece of the password.
const unreadable = "its parts cannot be told apart: the port must be a number, and in user and password write % as %25, / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A"

// badURL is the error for a URL, without the password in it.
func badURL(reason string) error {
	return &daybook.InvalidError{
		Field: "url", Value: "not a PostgreSQL URL", Reason: "must be like postgres://user:password@host:5432/database?schema=daybook: " + reason,
	}
}

// badSetting is the error for a URL that pgx does not take.
func badSetting(address string, err error) error {
	reason := err.Error()
	// In front of this stands the URL.
	if i := strings.LastIndex(reason, "`: "); i >= 0 {
		reason = reason[i+3:]
	}
	parsed, parsing := url.Parse(address)
	if parsing != nil || strings.Contains(reason, "parse as URL") || strings.HasPrefix(reason, "invalid port") {
		return badURL(unreadable)
	}
	if password, ok := parsed.User.Password(); ok && password != "" {
		reason = strings.ReplaceAll(reason, password, "xxxxx")
	}
	return badURL(reason)
}
