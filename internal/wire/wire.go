// Package wire holds the JSON shapes of records, appends, receipts and errors,
// and the query parameters of reads: what the HTTP interface, its client and
// the export files have in common.
//
// The shapes are drawn in docs/http.md. Data and metadata travel so that they
// come back byte for byte:
//
//  1. JSON on one line stands as it is in "data".
//  2. JSON with line breaks, or with white space around it, stands without its
//     insignificant white space in "data", and exactly, as a string, in
//     "data_text".
//  3. Other text stands in "data_text", other bytes in "data_base64". So does
//     JSON nested deeper than MaxInlineDepth, which few readers could read.
//  4. Text that would be longer as a string than in base64, since much of it
//     must be escaped, stands in "data_base64".
//  5. Empty data is left out.
//
// Whoever reads takes "data_base64" if it is there, else "data_text", else
// "data".
package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// TimeLayout writes times with the microseconds that a store keeps.
const TimeLayout = "2006-01-02T15:04:05.999999Z07:00"

// writer builds one JSON value by appending to a buffer, so that raw JSON is
// put in untouched.
type writer struct {
	out []byte
	// forServer leaves out what is only there for people: the form of data
	// without white space beside the exact one.
	forServer bool
}

func (w *writer) open(bracket byte)  { w.comma(); w.out = append(w.out, bracket) }
func (w *writer) close(bracket byte) { w.out = append(w.out, bracket) }

// comma puts a comma where a value or key follows another.
func (w *writer) comma() {
	if len(w.out) == 0 {
		return
	}
	switch w.out[len(w.out)-1] {
	case '{', '[', ':', ',':
	default:
		w.out = append(w.out, ',')
	}
}

func (w *writer) key(name string) {
	w.comma()
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

func (w *writer) raw(name string, value []byte) {
	w.key(name)
	w.out = append(w.out, value...)
}

func (w *writer) text(name, value string) {
	w.key(name)
	w.out = AppendString(w.out, value)
}

// optional is text for a field that is left out when it is empty.
func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) number(name string, value int64) {
	w.key(name)
	w.out = strconv.AppendInt(w.out, value, 10)
}

func (w *writer) boolean(name string, value bool) {
	w.key(name)
	w.out = strconv.AppendBool(w.out, value)
}

func (w *writer) time(name string, value time.Time) {
	w.key(name)
	w.out = append(w.out, '"')
	w.out = value.UTC().AppendFormat(w.out, TimeLayout)
	w.out = append(w.out, '"')
}

// list writes an array of the values; each is written by item.
func list[T any](w *writer, name string, values []T, item func(w *writer, value *T)) {
	w.key(name)
	w.open('[')
	for i := range values {
		w.comma()
		item(w, &values[i])
	}
	w.close(']')
}

// content writes bytes as the rules of the package say, under the name and its
// "_text" and "_base64" forms.
func (w *writer) content(name, contentType string, data []byte) {
	if len(data) == 0 {
		return
	}
	valid := utf8.Valid(data)
	if valid && IsJSON(contentType) && json.Valid(data) && Depth(data) <= MaxInlineDepth {
		if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 && len(bytes.TrimSpace(data)) == len(data) {
			w.raw(name, data)
			return
		}
		var compact bytes.Buffer
		if !w.forServer && json.Compact(&compact, data) == nil {
			w.raw(name, compact.Bytes())
		}
	}
	if valid && escapedLen(data) <= base64.StdEncoding.EncodedLen(len(data)) {
		w.text(name+"_text", string(data))
		return
	}
	w.key(name + "_base64")
	w.out = append(w.out, '"')
	w.out = base64.StdEncoding.AppendEncode(w.out, data)
	w.out = append(w.out, '"')
}

// content is what the writer's content reads back.
func content(field string, value json.RawMessage, text *Text, encoded *string) ([]byte, error) {
	switch {
	case text != nil && encoded != nil:
		return nil, invalid(field, "given twice", "give "+field+"_text or "+field+"_base64, not both")
	case encoded != nil:
		data, err := base64.StdEncoding.DecodeString(*encoded)
		if err != nil {
			return nil, invalid(field+"_base64", Shorten(*encoded), "must be base64: "+err.Error())
		}
		return data, nil
	case text != nil:
		return []byte(*text), nil
	default:
		return value, nil
	}
}

// MaxInlineDepth is how deep JSON may be nested to stand in a document as it
// is.
const MaxInlineDepth = 1000

// Depth returns how deep the arrays and objects of valid JSON are nested.
func Depth(data []byte) int {
	if opened := bytes.Count(data, []byte{'['}) + bytes.Count(data, []byte{'{'}); opened <= 1 {
		return opened
	}
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// IsJSON reports whether a content type says that the data is JSON.
func IsJSON(contentType string) bool {
	if contentType == "" || contentType == daybook.ContentTypeJSON {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == daybook.ContentTypeJSON || strings.HasSuffix(media, "+json"))
}

// escapedLen returns how long AppendString makes text, but for the quotes.
func escapedLen(text []byte) int {
	n := len(text)
	for _, c := range text {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n++
		case c < ' ':
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// AppendString appends text as a JSON string, which must be valid UTF-8.
func AppendString(out []byte, text string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	from := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[from:i]...)
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		from = i + 1
	}
	out = append(out, text[from:]...)
	return append(out, '"')
}

// Text is a string of a JSON document. Unlike a plain string it refuses what
// the decoder would silently change: half of a surrogate pair.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	if strings.ContainsRune(text, utf8.RuneError) && halfSurrogate(raw) {
		return &daybook.InvalidError{Field: "text", Value: Shorten(string(raw)), Reason: "must not hold half of a surrogate pair"}
	}
	*t = Text(text)
	return nil
}

// halfSurrogate reports whether a JSON string has an escaped surrogate without
// its other half.
func halfSurrogate(raw []byte) bool {
	unit := func(i int) (uint64, bool) {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return 0, false
		}
		v, err := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
		return v, err == nil
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		v, ok := unit(i)
		switch {
		case !ok:
			i++ // another escape: skip what it escapes
		case v >= 0xD800 && v < 0xDC00:
			low, ok := unit(i + 6)
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 11
		case v >= 0xDC00 && v <= 0xDFFF:
			return true
		default:
			i += 5
		}
	}
	return false
}

// Decode reads one JSON document that fills the whole of data, and refuses
// what it does not know. Its errors match daybook.ErrInvalid and say where.
func Decode(data []byte, into any) error {
	if !utf8.Valid(data) {
		return invalid("body", "bytes", "must be valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fault(data, reflect.TypeOf(into).Elem(), err)
	}
	if rest := bytes.TrimSpace(data[decoder.InputOffset():]); len(rest) > 0 {
		return invalid("body", Shorten(string(rest)), "nothing may follow the JSON document")
	}
	return nil
}

// decodeReply reads one JSON document of a server. What it does not know it
// passes over, so that a newer server can tell more. Its errors do not match
// daybook.ErrInvalid: a reply that cannot be read does not mean that the
// request was refused.
func decodeReply(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("a reply that cannot be read: %v", err)
	}
	return nil
}

func invalid(field, value, reason string) error {
	return &daybook.InvalidError{Field: field, Value: value, Reason: reason}
}

// Shorten cuts a long value for an error.
func Shorten(text string) string {
	const longest = 80
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + fmt.Sprintf(" and %d bytes more", len(text)-longest)
}

// valid returns text as JSON can carry it.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
