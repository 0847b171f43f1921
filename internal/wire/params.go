package wire

import (
	"net/url"
	"strconv"
	"time"

	"github.com/daybook-go/daybook"
)

// StreamParams returns the query parameters that ask for a read of a stream.
func StreamParams(id daybook.StreamID, read daybook.StreamRead) url.Values {
	p := params{}
	p.text("partition", id.Partition)
	p.number("from", int64(read.From))
	p.number("to", int64(read.To))
	p.time("until", read.Until)
	p.flag("backwards", read.Backwards)
	p.number("limit", int64(read.Limit))
	return url.Values(p)
}

// LogParams returns the query parameters that ask for a read of the log.
func LogParams(read daybook.LogRead) url.Values {
	p := params{}
	p.number("after", int64(read.After))
	p.number("to", int64(read.To))
	p.time("until", read.Until)
	p.filter(read.Filter)
	p.flag("backwards", read.Backwards)
	p.number("limit", int64(read.Limit))
	return url.Values(p)
}

// ListParams returns the query parameters that ask for a list of streams.
func ListParams(list daybook.StreamList) url.Values {
	p := params{}
	p.filter(list.Filter)
	p.text("after", list.After.Name)
	p.text("after_partition", list.After.Partition)
	p.number("limit", int64(list.Limit))
	return url.Values(p)
}

// ParseStreamRead reads the query parameters of a read of a stream.
func ParseStreamRead(values url.Values) (daybook.StreamRead, error) {
	p := parser{values: values}
	read := daybook.StreamRead{
		From: daybook.Version(p.number("from")), To: daybook.Version(p.number("to")), Until: p.time("until"),
		Backwards: p.flag("backwards"), Limit: int(p.number("limit")),
	}
	return read, p.err
}

// ParseLogRead reads the query parameters of a read of the log. A filter is
// given by the repeatable parameters partition, stream_type, type (any of
// them) and tag (all of them), or for several items by query, a JSON object
// like {"items":[{"types":["a"],"tags":["b"]}]}.
func ParseLogRead(values url.Values) (daybook.LogRead, error) {
	p := parser{values: values}
	read := daybook.LogRead{
		After: daybook.Position(p.number("after")), To: daybook.Position(p.number("to")), Until: p.time("until"),
		Filter: p.filter(), Backwards: p.flag("backwards"), Limit: int(p.number("limit")),
	}
	return read, p.err
}

// ParseStreamList reads the query parameters of a list of streams.
func ParseStreamList(values url.Values) (daybook.StreamList, error) {
	p := parser{values: values}
	list := daybook.StreamList{
		Filter: p.filter(), Limit: int(p.number("limit")),
		After: daybook.StreamID{Partition: values.Get("after_partition"), Name: values.Get("after")},
	}
	return list, p.err
}

// WaitParams returns the query parameters that ask for the position of the
// last record, as soon as it lies above after or the time to wait has passed.
func WaitParams(after daybook.Position, wait time.Duration) url.Values {
	p := params{}
	p.number("after", int64(after))
	if wait > 0 {
		p.text("wait", wait.String())
	}
	return url.Values(p)
}

// ParseWait reads what WaitParams writes.
func ParseWait(values url.Values) (after daybook.Position, wait time.Duration, err error) {
	p := parser{values: values}
	after = daybook.Position(p.number("after"))
	if value := values.Get("wait"); value != "" {
		var bad error
		if wait, bad = time.ParseDuration(value); bad != nil || wait < 0 {
			p.fail("wait", value, "must be a time to wait like 30s, 0 or more")
		}
	}
	return after, wait, p.err
}

// params builds query parameters; what is zero is left out.
type params url.Values

func (p params) text(name, value string) {
	if value != "" {
		url.Values(p).Set(name, value)
	}
}

func (p params) number(name string, value int64) {
	if value != 0 {
		url.Values(p).Set(name, strconv.FormatInt(value, 10))
	}
}

func (p params) flag(name string, value bool) {
	if value {
		url.Values(p).Set(name, "true")
	}
}

func (p params) time(name string, value time.Time) {
	if !value.IsZero() {
		url.Values(p).Set(name, value.UTC().Format(time.RFC3339Nano))
	}
}

func (p params) filter(f daybook.Filter) {
	p["partition"] = append(p["partition"], f.Partitions...)
	p["stream_type"] = append(p["stream_type"], f.StreamTypes...)
	if len(f.Query.Items) > 0 {
		url.Values(p).Set("query", string(AppendQuery(nil, f.Query)))
	}
}

// parser reads query parameters and keeps the first error.
type parser struct {
	values url.Values
	err    error
}

func (p *parser) fail(name, value, reason string) {
	if p.err == nil {
		p.err = invalid(name, Shorten(strconv.Quote(value)), reason)
	}
}

// number reads a whole number, not negative; absent and empty are 0.
func (p *parser) number(name string) int64 {
	value := p.values.Get(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		p.fail(name, value, "must be a whole number, 0 or more")
	}
	return n
}

func (p *parser) flag(name string) bool {
	value := p.values.Get(name)
	if value == "" {
		return false
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		p.fail(name, value, "must be true or false")
	}
	return b
}

func (p *parser) time(name string) time.Time {
	value := p.values.Get(name)
	if value == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		p.fail(name, value, "must be a time like 2026-01-31T12:00:00Z")
	}
	return t
}

func (p *parser) filter() daybook.Filter {
	f := daybook.Filter{Partitions: p.values["partition"], StreamTypes: p.values["stream_type"]}
	types, tags := p.values["type"], p.values["tag"]
	raw := p.values.Get("query")
	switch {
	case raw != "" && len(types)+len(tags) > 0:
		p.fail("query", raw, "give query, or type and tag, not both")
	case raw != "":
		query, err := DecodeQuery([]byte(raw))
		if err != nil {
			p.fail("query", raw, "must be JSON like {\"items\":[{\"types\":[\"a\"],\"tags\":[\"b\"]}]}: "+err.Error())
		}
		f.Query = query
	case len(types)+len(tags) > 0:
		f.Query.Items = []daybook.QueryItem{{Types: types, Tags: tags}}
	}
	return f
}
