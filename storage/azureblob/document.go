package azureblob

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// A document is the payload of a frame: the JSON object that is the data of an
// event, with two properties behind its own.
//
//	{"amount":5,"$daybook":{…,"at":11},"Type":"deposited"}
//
// Type is the last one, as Lokad's reader wants it. What Daybook adds stands
// before it, and ends with the length of what comes before that: so the data
// comes back byte for byte. Data that is no JSON object is a text, or base64,
// within what Daybook adds.

const (
	noteKey  = `"$daybook":`
	typeKey  = `"Type":`
	atKey    = `,"at":`
	jsonTrim = " \t\r\n"
)

// appendDocument appends the document of an event, padded with spaces.
func appendDocument(to []byte, eventType string, data []byte, n *note) ([]byte, error) {
	start := len(to)
	prefix, tail, ok := cutObject(data)
	n.Text, n.Base64, n.Tail, n.Empty = nil, nil, "", false
	switch {
	case ok:
		n.Tail = string(tail)
		to = append(to, prefix...)
	case len(data) == 0:
		n.Empty = true
	case isText(data):
		text := string(data)
		n.Text = &text
	default:
		n.Base64 = data
	}
	if !ok {
		to = append(to, '{')
	}
	at := len(to) - start
	if string(bytes.Trim(to[start:], jsonTrim)) != "{" {
		to = append(to, ',')
	}
	to = append(to, noteKey...)
	var err error
	if to, err = appendJSON(to, n); err != nil {
		return nil, err
	}
	to = to[:len(to)-1] // its end, behind which at comes
	if to[len(to)-1] == '{' {
		to = append(to, atKey[1:]...)
	} else {
		to = append(to, atKey...)
	}
	to = strconv.AppendInt(to, int64(at), 10)
	to = append(to, `},`+typeKey...)
	if to, err = appendJSON(to, eventType); err != nil {
		return nil, err
	}
	to = append(to, '}')
	for (len(to)-start)%payloadUnit != 0 {
		to = append(to, ' ')
	}
	return to, nil
}

// appendJSON appends a value without the escapes that only HTML needs.
func appendJSON(to []byte, value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return append(to, bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))...), nil
}

// cutObject returns what stands before and behind the last brace of a JSON
// object, if data is one.
func cutObject(data []byte) (prefix, tail []byte, ok bool) {
	last := bytes.LastIndexByte(data, '}')
	if last < 0 || bytes.TrimLeft(data, jsonTrim)[0] != '{' || !utf8.Valid(data) || !json.Valid(data) {
		return nil, nil, false
	}
	return data[:last], data[last+1:], true
}

// document is a payload that was read. What it holds lies in the payload.
type document struct {
	eventType string
	note      *note  // nil where another program than Daybook has written it
	prefix    []byte // of the data, without its last brace; nil where the note holds the data
	whole     []byte // without the padding
}

// parseDocument reads a payload. One that is not in the form of a document has
// no type and no note.
func parseDocument(payload []byte) (document, error) {
	whole := bytes.TrimRight(payload, " ")
	d := document{whole: whole}
	eventType, before, ok := cutType(whole)
	if !ok {
		if !json.Valid(whole) {
			d.whole = payload
		}
		return d, nil
	}
	d.eventType = eventType
	note, prefix, ok, err := cutNote(before)
	if ok {
		d.note, d.prefix = note, prefix
	}
	return d, err
}

// cutType returns the property Type, which must be the last of an object, and
// what stands before it.
func cutType(whole []byte) (eventType string, before []byte, ok bool) {
	rest, ok := bytes.CutSuffix(whole, []byte("}"))
	if !ok {
		return "", nil, false
	}
	rest = bytes.TrimRight(rest, jsonTrim)
	start, ok := startOfString(rest)
	if !ok {
		return "", nil, false
	}
	quoted := rest[start:]
	key := bytes.TrimRight(rest[:start], jsonTrim)
	if key, ok = bytes.CutSuffix(key, []byte(":")); !ok {
		return "", nil, false
	}
	key = bytes.TrimRight(key, jsonTrim)
	if before, ok = bytes.CutSuffix(key, []byte(typeKey[:len(typeKey)-1])); !ok {
		return "", nil, false
	}
	if bytes.IndexByte(quoted, '\\') < 0 && utf8.Valid(quoted) {
		return string(quoted[1 : len(quoted)-1]), before, true
	}
	if json.Unmarshal(quoted, &eventType) != nil {
		return "", nil, false
	}
	return eventType, before, true
}

// startOfString returns where the JSON string begins that text ends with.
func startOfString(text []byte) (int, bool) {
	if len(text) < 2 || text[len(text)-1] != '"' {
		return 0, false
	}
	for i := len(text) - 2; i >= 0; i-- {
		if text[i] != '"' {
			continue
		}
		escapes := 0
		for j := i - 1; j >= 0 && text[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i, true
		}
	}
	return 0, false
}

// cutNote returns what Daybook has added, and the data before it. There is
// none where the text does not end as one does.
func cutNote(before []byte) (n *note, prefix []byte, ok bool, err error) {
	text, ok := bytes.CutSuffix(before, []byte("},"))
	if !ok {
		return nil, nil, false, nil
	}
	digits := len(text)
	for digits > 0 && text[digits-1] >= '0' && text[digits-1] <= '9' {
		digits--
	}
	if !bytes.HasSuffix(text[:digits], []byte(atKey[1:])) {
		return nil, nil, false, nil
	}
	at, failed := strconv.Atoi(string(text[digits:]))
	if failed != nil || at < 1 || at > len(text) {
		return nil, nil, false, nil
	}
	rest, ok := bytes.CutPrefix(bytes.TrimPrefix(before[at:len(before)-1], []byte(",")), []byte(noteKey))
	if !ok {
		return nil, nil, false, nil
	}
	n = &note{}
	if err := json.Unmarshal(rest, n); err != nil {
		return nil, nil, false, &damage{reason: "what Daybook added to the event cannot be read: " + err.Error()}
	}
	if n.Text != nil || n.Base64 != nil || n.Empty {
		return n, nil, true, nil
	}
	return n, text[:at], true, nil
}

// data returns the data of an event, in memory of its own.
func (d *document) data() []byte {
	switch n := d.note; {
	case n == nil:
		return bytes.Clone(d.whole)
	case n.Text != nil:
		return []byte(*n.Text)
	case n.Base64 != nil:
		return n.Base64
	case n.Empty:
		return nil
	}
	data := make([]byte, 0, len(d.prefix)+1+len(d.note.Tail))
	data = append(data, d.prefix...)
	data = append(data, '}')
	return append(data, d.note.Tail...)
}

// event returns the event of a document that Daybook wrote.
func (d *document) event() daybook.Event {
	n := d.note
	e := daybook.Event{
		ID: n.ID, Type: d.eventType, ContentType: n.ContentType, Data: d.data(), Tags: n.Tags, OccurredAt: n.OccurredAt,
		Context: daybook.Context{
			Who: n.Who, Correlation: n.Correlation, Source: n.Source, Commentary: n.Commentary, Schema: n.Schema,
			Metadata: n.EventMetadata.bytes(),
		},
	}
	if n.Why != nil {
		why := daybook.Cause(*n.Why)
		e.Context.Why = &why
	}
	if e.ContentType == "" {
		e.ContentType = daybook.ContentTypeJSON
	}
	return e
}
