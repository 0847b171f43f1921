package sns

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// GroupID returns the message group of a stream, in which messages keep their
// order: the SHA-224 of its name, in hex, as the Elastic Event Store has it. Of a
// stream outside the default partition, that of the partition, a zero byte and
// the name.
func GroupID(stream daybook.StreamID) string {
	text := stream.Name
	if stream.Partition != "" {
		text = stream.Partition + "\x00" + text
	}
	sum := sha256.Sum224([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Kind says what a message carries.
type Kind string

// The kinds of messages, which go to topics of their own.
const (
	KindChangeset Kind = "changeset"
	KindEvent     Kind = "event"
)

// message is what is published for a changeset or an event.
type message struct {
	kind      Kind
	changeset *daybook.RecordedChangeset
	record    *daybook.Record // the event; of a changeset, its last
	group     string
	body      string
}

// repetition is the id by which the topic drops repeats. An append has one
// changeset in each of its streams: id, stream and number name it.
func (m *message) repetition() string {
	number := int64(m.changeset.Number)
	if m.kind == KindEvent {
		number = int64(m.record.Version)
	}
	return m.changeset.AppendID.String() + "-" + m.group + "-" + strconv.FormatInt(number, 10)
}

// attributes are what subscriptions can filter by, without reading the body.
func (m *message) attributes() map[string]string {
	attributes := map[string]string{"position": strconv.FormatInt(int64(m.record.Position), 10), "append_id": m.changeset.AppendID.String()}
	if streamType := m.changeset.Stream.Type(); streamType != "" {
		attributes["stream_type"] = printable(streamType)
	}
	if m.changeset.Stream.Partition != "" {
		attributes["partition"] = printable(m.changeset.Stream.Partition)
	}
	if m.kind == KindEvent {
		attributes["event_type"] = printable(m.record.Type)
	}
	return attributes
}

// printable is a text without the control characters that the services refuse.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\uFFFE' || r == '\uFFFF' {
			return '\uFFFD'
		}
		return r
	}, text)
}

// size is what the services count of a message, in bytes.
func (m *message) size() int {
	n := len(m.body)
	for name, value := range m.attributes() {
		n += len(name) + len(value) + len("String")
	}
	return n
}

// changesetMessage is the message of a changeset.
func changesetMessage(c *daybook.RecordedChangeset) *message {
	out := appendStream([]byte{'{'}, c)
	out = append(out, `,"events":[`...)
	for i := range c.Records {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendData(out, c.Records[i].ContentType, c.Records[i].Data, "null")
	}
	out = append(out, `],"metadata":`...)
	out = append(appendData(out, daybook.ContentTypeJSON, c.Metadata, "{}"), '}')
	return &message{kind: KindChangeset, changeset: c, record: &c.Records[len(c.Records)-1], group: GroupID(c.Stream), body: string(out)}
}

// eventMessage is the message of one event of a changeset.
func eventMessage(c *daybook.RecordedChangeset, r *daybook.Record) *message {
	out := appendStream([]byte{'{'}, c)
	out = append(out, `,"event_id":`...)
	out = strconv.AppendInt(out, int64(r.Version), 10)
	out = append(out, `,"data":`...)
	out = append(appendData(out, r.ContentType, r.Data, "null"), '}')
	return &message{kind: KindEvent, changeset: c, record: r, group: GroupID(c.Stream), body: string(out)}
}

// appendStream appends the members that both shapes have. A stream of the
// default partition has none: the Elastic Event Store knows no partitions.
func appendStream(out []byte, c *daybook.RecordedChangeset) []byte {
	out = wire.AppendString(append(out, `"stream_id":`...), c.Stream.Name)
	if c.Stream.Partition != "" {
		out = wire.AppendString(append(out, `,"partition":`...), c.Stream.Partition)
	}
	out = append(out, `,"changeset_id":`...)
	return strconv.AppendInt(out, int64(c.Number), 10)
}

// appendData appends bytes as a JSON value, as docs/http.md says of the Elastic
// Event Store's paths: JSON as it is, other text as a string, other bytes as a
// string in base64; absent stands for none.
func appendData(out []byte, contentType string, data []byte, absent string) []byte {
	switch valid := utf8.Valid(data); {
	case len(data) == 0:
		return append(out, absent...)
	case valid && wire.IsJSON(contentType) && json.Valid(data):
		compact := bytes.NewBuffer(out)
		if json.Compact(compact, data) != nil {
			return append(out, data...)
		}
		return compact.Bytes()
	case valid:
		return wire.AppendString(out, string(data))
	}
	return wire.AppendString(out, base64.StdEncoding.EncodeToString(data))
}
