package azuretable

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// What the service allows, and how far we go.
const (
	maxRows        = 100       // in a batch
	maxBatchBytes  = 3_900_000 // of 4 MiB: the rest is for what wraps the rows
	rowOverhead    = 600       // what wraps a row in a batch, in bytes
	maxEntityBytes = 900_000   // of 1 MiB
	maxBinary      = 60_000    // of 64 KiB, of a property
	maxText        = 32 << 10  // of a property, in characters of UTF-16
)

// entity is a row of the table: what is sent, and what comes back.
type entity struct {
	values map[string]any
	size   int // as the service counts it, in bytes
}

func newEntity(partition, row string) *entity {
	return &entity{values: map[string]any{"PartitionKey": partition, "RowKey": row}, size: 4 + 2*(len(partition)+len(row))}
}

func (e *entity) set(name string, value any, size int) {
	e.values[name] = value
	e.size += 8 + 2*len(name) + size
}

func (e *entity) number(name string, n int64) {
	e.set(name, strconv.FormatInt(n, 10), 8)
	e.values[name+"@odata.type"] = "Edm.Int64"
}

func (e *entity) flag(name string) { e.set(name, true, 1) }

func (e *entity) binary(name string, data []byte) {
	e.set(name, base64.StdEncoding.EncodeToString(data), 4+len(data))
	e.values[name+"@odata.type"] = "Edm.Binary"
}

// text sets a property to a text. Of what no text of the service can be for
// certain, control characters and broken UTF-8, it keeps the bytes.
func (e *entity) text(name, text string) {
	if length, clean := utf16Length(text); clean && length <= maxText {
		e.set(name, text, 4+2*length)
		return
	}
	e.binary(name, []byte(text))
}

// content sets properties to data that may be long: name, name2, name3. It
// reports whether the row has room for it.
func (e *entity) content(name string, data []byte) bool {
	length, clean := utf16Length(string(data))
	if clean && length <= maxText && len(data) > 0 {
		e.text(name, string(data)) // also where the bytes are more: as the seed has it
		return true
	}
	if clean && e.size+2*length+1000 <= maxEntityBytes {
		for i := 1; len(data) > 0; i++ {
			n := textPiece(data)
			e.text(numbered(name, i), string(data[:n]))
			data = data[n:]
		}
		return true
	}
	if e.size+len(data)+1000 > maxEntityBytes {
		return false
	}
	for i := 1; len(data) > 0; i++ {
		n := min(len(data), maxBinary)
		e.binary(numbered(name, i), data[:n])
		data = data[n:]
	}
	return true
}

func numbered(name string, i int) string {
	if i == 1 {
		return name
	}
	return name + strconv.Itoa(i)
}

// textPiece returns how many bytes of a clean text fit into one property, whole
// characters only.
func textPiece(data []byte) int {
	if len(data) <= maxText {
		return len(data)
	}
	n := maxText
	for !utf8.RuneStart(data[n]) {
		n--
	}
	return n
}

// utf16Length returns how many characters of UTF-16 a text has, and whether the
// service takes all of them.
func utf16Length(text string) (length int, clean bool) {
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(text[i:]); size <= 1 {
				return 0, false
			}
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff:
			return 0, false
		}
		length++
		if r > 0xffff {
			length++
		}
	}
	return length, true
}

// bytes returns the entity as it is sent.
func (e *entity) bytes() []byte {
	encoded, err := json.Marshal(e.values)
	if err != nil {
		panic(err) // texts, numbers and flags only
	}
	return encoded
}

// parseEntity reads a row that came back.
func parseEntity(encoded []byte) (*entity, error) {
	e := &entity{}
	if err := json.Unmarshal(encoded, &e.values); err != nil {
		return nil, fmt.Errorf("%w: a row that is no JSON: %v", daybook.ErrCorrupt, err)
	}
	return e, nil
}

func (e *entity) has(name string) bool { return e.values[name] != nil }

func (e *entity) key() string { return e.readText("RowKey") }

func (e *entity) readText(name string) string {
	text, _ := e.values[name].(string)
	if e.values[name+"@odata.type"] == "Edm.Binary" {
		return string(e.readBinary(name))
	}
	return text
}

func (e *entity) readBinary(name string) []byte {
	text, _ := e.values[name].(string)
	data, _ := base64.StdEncoding.DecodeString(text)
	return data
}

// readNumber reads a number of 32 or 64 bits.
func (e *entity) readNumber(name string) int64 {
	switch value := e.values[name].(type) {
	case string:
		n, _ := strconv.ParseInt(value, 10, 64)
		return n
	case float64:
		return int64(value)
	}
	return 0
}

func (e *entity) readTime(name string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, e.readText(name))
	if err != nil {
		return time.Time{}
	}
	return daybook.Microseconds(at)
}

func (e *entity) readFlag(name string) bool {
	set, _ := e.values[name].(bool)
	return set
}

// readContent reads what content has written.
func (e *entity) readContent(name string) []byte {
	var data []byte
	for i := 1; e.has(numbered(name, i)); i++ {
		data = append(data, e.readText(numbered(name, i))...)
	}
	return data
}

// corrupt says that a row does not hold what it must.
func corrupt(e *entity, reason string) error {
	return fmt.Errorf("%w: row %q of partition %q: %s", daybook.ErrCorrupt, e.key(), e.readText("PartitionKey"), reason)
}
