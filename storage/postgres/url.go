package postgres

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
)

// maxSchemaLen is how long PostgreSQL lets a name be, in bytes.
const maxSchemaLen = 63

// cutSchema takes the parameter schema out of a URL: pgx would hand it to the
// server, which knows none of that name.
func cutSchema(address string) (rest, schema string, err error) {
	before, query, found := strings.Cut(address, "?")
	if !found {
		return address, "", nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", badURL(err)
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

// badURL says what is wrong with a URL, without the password in it.
func badURL(err error) error {
	reason := err.Error()
	if i := strings.LastIndex(reason, "`: "); i >= 0 {
		reason = reason[i+3:]
	}
	return &daybook.InvalidError{
		Field: "url", Value: "not a PostgreSQL URL", Reason: "must be like postgres://user:password@host:5432/database?schema=daybook: " + reason,
	}
}
