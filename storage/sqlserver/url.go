package sqlserver

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// maxSchemaLen is how long SQL Server lets a name be, in characters of UTF-16.
const maxSchemaLen = 128

// cutSchema takes the parameter schema out of a URL, which go-mssqldb does not
// know, and demands encryption where the URL does not speak of it: left alone,
// go-mssqldb would encrypt the password only, and for any server.
func cutSchema(address string) (rest, schema string, err error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", "", badURL(err)
	}
	if parsed.Scheme != "sqlserver" || parsed.Host == "" {
		return "", "", badURL(errors.New("it names no host"))
	}
	values, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return "", "", badURL(err)
	}
	schema = values.Get("schema")
	values.Del("schema")
	if !has(values, "encrypt") {
		values.Set("encrypt", "true")
	}
	parsed.RawQuery = values.Encode()
	return parsed.String(), schema, nil
}

// namesParameter reports whether a URL has a parameter.
func namesParameter(address, name string) bool {
	parsed, err := url.Parse(address)
	return err == nil && has(parsed.Query(), name)
}

// has reports whether there is a parameter, whose name may be in any case.
func has(values url.Values, name string) bool {
	for key := range values {
		if strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}

func checkSchema(name string) error {
	length := int64(0)
	for _, r := range name {
		if length++; r > 0xFFFF {
			length++
		}
	}
	switch {
	case length > maxSchemaLen:
		return &daybook.LimitError{Field: "schema", Value: length, Limit: maxSchemaLen, Unit: "characters"}
	case name == "" || strings.ContainsRune(name, 0) || !utf8.ValidString(name) || strings.HasSuffix(name, " "):
		return &daybook.InvalidError{Field: "schema", Value: strconv.Quote(name), Reason: "must be a name that does not end in a space"}
	case strings.EqualFold(name, "sys") || strings.EqualFold(name, "information_schema"):
		return &daybook.InvalidError{Field: "schema", Value: strconv.Quote(name), Reason: "must not be that of the server's own tables"}
	}
	return nil
}

// badURL says what is wrong with a URL, without the password in it.
func badURL(err error) error {
	reason := "it cannot be read"
	if parse, ok := errors.AsType[*url.Error](err); ok {
		reason = parse.Err.Error() // the error itself has the whole URL
		if strings.HasPrefix(reason, "invalid port") || strings.HasPrefix(reason, "invalid userinfo") {
			reason = "its host, port, user or password is not written as in a URL" // these quote parts of it
		}
	} else if err != nil {
		reason = err.Error()
	}
	return &daybook.InvalidError{
		Field: "url", Value: "not a SQL Server URL", Reason: "must be like sqlserver://user:password@host:1433?database=NAME&schema=daybook: " + reason,
	}
}
