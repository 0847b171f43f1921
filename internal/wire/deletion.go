package wire

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// DeletionParams returns the query parameters that ask for a deletion; its
// stream stands in the path.
func DeletionParams(d *daybook.Deletion) url.Values {
	p := params{}
	p.text("partition", d.Stream.Partition)
	p.text("deletion_id", d.ID.String())
	if !d.Expect.Any() {
		p.text("expect", expectText(d.Expect))
	}
	p.number("through", int64(d.Through))
	p.flag("scrub", d.Scrub)
	p.text("who", d.Who)
	p.text("why", d.Why)
	return url.Values(p)
}

// ParseDeletion reads the query parameters of a deletion from a stream.
func ParseDeletion(values url.Values, stream daybook.StreamID) (daybook.Deletion, error) {
	p := parser{values: values}
	d := daybook.Deletion{
		Stream: stream, Expect: p.expect("expect"), Through: daybook.Version(p.number("through")), Scrub: p.flag("scrub"),
		Who: values.Get("who"), Why: values.Get("why"),
	}
	if id := values.Get("deletion_id"); id != "" {
		d.ID = daybook.IDOf(id)
	}
	return d, p.err
}

// DeletionReadParams returns the query parameters that ask for recorded
// deletions.
func DeletionReadParams(read daybook.DeletionRead) url.Values {
	p := params{}
	p.number("after", int64(read.After))
	p.text("stream_id", read.Stream.Name)
	p.text("partition", read.Stream.Partition)
	p.number("limit", int64(read.Limit))
	return url.Values(p)
}

// ParseDeletionRead reads the query parameters of a read of recorded deletions.
func ParseDeletionRead(values url.Values) (daybook.DeletionRead, error) {
	p := parser{values: values}
	read := daybook.DeletionRead{
		After: daybook.DeletionNumber(p.number("after")), Limit: int(p.number("limit")),
		Stream: daybook.StreamID{Partition: values.Get("partition"), Name: values.Get("stream_id")},
	}
	return read, p.err
}

// expectText writes an expectation as a parameter: "none", "version:3".
func expectText(e daybook.Expect) string { return strings.Replace(e.String(), " ", ":", 1) }

// expect reads what expectText writes; absent and empty are any.
func (p *parser) expect(name string) daybook.Expect {
	value := p.values.Get(name)
	if value == "" {
		return daybook.ExpectAny()
	}
	expect, ok := ParseExpect(value)
	if !ok {
		p.fail(name, value, "must be any, none, exists, version:N or changeset:N")
	}
	return expect
}

// ParseExpect reads an expectation as parameters and flags write it: any, none,
// exists, version:3, changeset:2. It reports whether text is one.
func ParseExpect(text string) (daybook.Expect, bool) {
	switch text {
	case "any":
		return daybook.ExpectAny(), true
	case "none":
		return daybook.ExpectNone(), true
	case "exists":
		return daybook.ExpectExists(), true
	}
	kind, digits, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err == nil && n >= 0 && kind == "version":
		return daybook.ExpectVersion(daybook.Version(n)), true
	case err == nil && n >= 0 && kind == "changeset":
		return daybook.ExpectChangeset(daybook.ChangesetNumber(n)), true
	}
	return daybook.Expect{}, false
}

// AppendDeletionReceipt appends the JSON of the receipt of a deletion.
func AppendDeletionReceipt(out []byte, r *daybook.DeletionReceipt) []byte {
	w := &writer{out: out}
	w.out = append(w.out, '{')
	w.deletionReceipt(r)
	w.boolean("repeated", r.Repeated)
	w.close('}')
	return w.out
}

func (w *writer) deletionReceipt(r *daybook.DeletionReceipt) {
	w.number("number", int64(r.Number))
	w.text("deletion_id", r.ID.String())
	w.stream(r.Stream)
	w.time("recorded_at", r.RecordedAt)
	w.number("through", int64(r.Through))
	w.number("changesets", r.Changesets)
	w.number("records", r.Records)
	w.boolean("scrubbed", r.Scrubbed)
	w.text("durability", r.Durability.String())
}

// AppendDeletion appends the JSON of a recorded deletion.
func AppendDeletion(out []byte, d *daybook.RecordedDeletion) []byte {
	w := &writer{out: out}
	w.out = append(w.out, '{')
	w.deletionReceipt(&d.Receipt)
	w.number("asked_through", int64(d.Through))
	w.boolean("scrub", d.Scrub)
	w.optional("who", d.Who)
	w.optional("why", d.Why)
	w.close('}')
	return w.out
}

// deletion is a recorded deletion, or the receipt of one, as JSON brings it.
type deletion struct {
	Number daybook.DeletionNumber `json:"number"`
	ID     daybook.ID             `json:"deletion_id"`
	StreamID
	RecordedAt time.Time       `json:"recorded_at"`
	Through    daybook.Version `json:"through"`
	Changesets int64           `json:"changesets"`
	Records    int64           `json:"records"`
	Scrubbed   bool            `json:"scrubbed"`
	Durability string          `json:"durability"`
	Repeated   bool            `json:"repeated"`
	Asked      daybook.Version `json:"asked_through"`
	Scrub      bool            `json:"scrub"`
	Who        Text            `json:"who"`
	Why        Text            `json:"why"`
}

// DecodeDeletionReceipt reads the JSON of the receipt of a deletion.
func DecodeDeletionReceipt(body []byte) (daybook.DeletionReceipt, error) {
	d, err := DecodeDeletion(body)
	return d.Receipt, err
}

// DecodeDeletion reads the JSON of a recorded deletion.
func DecodeDeletion(line []byte) (daybook.RecordedDeletion, error) {
	var d deletion
	if err := decodeReply(line, &d); err != nil {
		return daybook.RecordedDeletion{}, err
	}
	durability, err := ParseDurability(d.Durability)
	if err != nil {
		return daybook.RecordedDeletion{}, err
	}
	return daybook.RecordedDeletion{
		Deletion: daybook.Deletion{
			ID: d.ID, Stream: d.StreamID.ID(), Through: d.Asked, Scrub: d.Scrub, Who: string(d.Who), Why: string(d.Why),
		},
		Receipt: daybook.DeletionReceipt{
			ID: d.ID, Number: d.Number, Stream: d.StreamID.ID(), RecordedAt: daybook.Microseconds(d.RecordedAt), Through: d.Through,
			Changesets: d.Changesets, Records: d.Records, Scrubbed: d.Scrubbed, Durability: durability, Repeated: d.Repeated,
		},
	}, nil
}
