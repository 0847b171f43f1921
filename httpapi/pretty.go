package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// indent is what the Elastic Event Store indents its replies by.
const indent = "    "

// pretty writes an indented JSON document into the reply of an exchange, piece
// by piece.
type pretty struct {
	x     *exchange
	depth int
	empty bool // the innermost array or object has nothing in it yet
}

// line begins the next value or key of an array or object.
func (p *pretty) line() {
	if !p.empty {
		p.x.out = append(p.x.out, ',')
	}
	p.empty = false
	p.newline()
}

func (p *pretty) newline() {
	p.x.out = append(p.x.out, '\n')
	for range p.depth {
		p.x.out = append(p.x.out, indent...)
	}
}

func (p *pretty) open(bracket byte) {
	p.x.out = append(p.x.out, bracket)
	p.depth++
	p.empty = true
}

func (p *pretty) close(bracket byte) {
	p.depth--
	if !p.empty {
		p.newline()
	}
	p.empty = false
	p.x.out = append(p.x.out, bracket)
}

func (p *pretty) key(name string) {
	p.line()
	p.x.out = append(wire.AppendString(p.x.out, name), ':', ' ')
}

func (p *pretty) text(name, value string) {
	p.key(name)
	p.x.out = wire.AppendString(p.x.out, value)
}

func (p *pretty) number(name string, value int64) {
	p.key(name)
	p.x.out = strconv.AppendInt(p.x.out, value, 10)
}

// stream writes the id of a stream; the Elastic Event Store, which has no
// partitions, sees none in the default one.
func (p *pretty) stream(id daybook.StreamID) {
	p.text("stream_id", id.Name)
	if id.Partition != "" {
		p.text("partition", id.Partition)
	}
}

// events writes the data of the records as a list.
func (p *pretty) events(records []daybook.Record) {
	p.key("events")
	p.open('[')
	for i := range records {
		p.line()
		p.data(records[i].ContentType, records[i].Data, "null")
	}
	p.close(']')
}

// metadata writes the metadata of a changeset.
func (p *pretty) metadata(data []byte) {
	p.key("metadata")
	p.data(daybook.ContentTypeJSON, data, "{}")
}

// data writes bytes as a JSON value: JSON as it is, other text as a string,
// other bytes as a string in base64; absent stands for none.
func (p *pretty) data(contentType string, data []byte, absent string) {
	switch valid := utf8.Valid(data); {
	case len(data) == 0:
		p.x.out = append(p.x.out, absent...)
	case valid && wire.IsJSON(contentType) && json.Valid(data):
		p.json(data)
	case valid:
		p.x.out = wire.AppendString(p.x.out, string(data))
	default:
		p.x.out = append(p.x.out, '"')
		p.x.out = base64.StdEncoding.AppendEncode(p.x.out, data)
		p.x.out = append(p.x.out, '"')
	}
}

// What is larger or deeper than this is written as it is: indented, a small
// request would come back as gigabytes of white space.
const (
	largestIndented = 64 << 10 // bytes
	deepestIndented = 32
)

func (p *pretty) json(data []byte) {
	data = bytes.TrimSpace(data)
	if len(data) > largestIndented || wire.Depth(data) > deepestIndented {
		p.x.out = append(p.x.out, data...)
		return
	}
	out := bytes.NewBuffer(p.x.out)
	if json.Indent(out, data, string(bytes.Repeat([]byte(indent), p.depth)), indent) != nil {
		p.x.out = append(p.x.out, data...)
		return
	}
	p.x.out = out.Bytes()
}
