package logindex

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

// Changeset is what an index learns of a changeset.
type Changeset struct {
	Place      Place
	Stream     daybook.StreamID
	AppendID   daybook.ID
	Number     daybook.ChangesetNumber
	Ordinal    daybook.Ordinal
	First      daybook.Version // of its first record
	Since      daybook.Version // of the first record of its stream; First, if the stream begins with it
	RecordedAt time.Time
	Claims     []daybook.Claim
	Releases   []daybook.Claim
	Records    []Record // at least one
}

// Record is what an index learns of a record.
type Record struct {
	Position daybook.Position
	Type     string
	Tags     []string
}

// plainBuilder gathers changesets the plain way, and writes the index of them.
type plainBuilder struct {
	segments   []Segment
	marks      []*Marks
	totals     Totals
	appends    map[daybook.ID]Place
	claims     map[string]map[daybook.Claim]string
	heads      map[daybook.StreamID]daybook.Head
	frames     map[daybook.StreamID][]VersionPlace
	tags       lists
	partitions lists
	kinds      lists
	types      lists
}

type lists map[string][]daybook.Position

func newPlainBuilder() *plainBuilder {
	return &plainBuilder{
		appends: map[daybook.ID]Place{}, claims: map[string]map[daybook.Claim]string{}, heads: map[daybook.StreamID]daybook.Head{},
		frames: map[daybook.StreamID][]VersionPlace{}, tags: lists{}, partitions: lists{}, kinds: lists{}, types: lists{},
	}
}

func (b *plainBuilder) begin(s Segment) {
	b.segments, b.marks = append(b.segments, s), append(b.marks, new(Marks))
}

func (b *plainBuilder) mark(c *Changeset) {
	b.marks[len(b.marks)-1].Add(Mark{c.Records[0].Position, c.Place.Offset()}, c.RecordedAt)
}

// add takes in what was written as one append.
func (b *plainBuilder) add(changesets []Changeset) {
	for i := range changesets {
		c := &changesets[i]
		first, last := c.Records[0].Position, c.Records[len(c.Records)-1].Position
		totals := Totals{
			Changesets: 1, Records: int64(len(c.Records)), LongestStream: c.Number,
			FirstPosition: first, LastPosition: last, LastOrdinal: c.Ordinal, LastRecorded: c.RecordedAt,
		}
		if c.Since == c.First {
			totals.Streams = 1
		}
		b.totals.Add(totals)
		b.heads[c.Stream] = daybook.Head{
			Version: c.First + daybook.Version(len(c.Records)) - 1, Changeset: c.Number, First: c.Since,
			Position: last, RecordedAt: c.RecordedAt,
		}
		b.frames[c.Stream] = append(b.frames[c.Stream], VersionPlace{c.First, c.Place})
		if _, known := b.appends[c.AppendID]; !known {
			b.appends[c.AppendID] = c.Place
		}
		if c.Stream.Partition != "" {
			b.partitions[c.Stream.Partition] = append(b.partitions[c.Stream.Partition], first)
		}
		b.kinds[c.Stream.Type()] = append(b.kinds[c.Stream.Type()], first)
		for _, r := range c.Records {
			b.types[r.Type] = append(b.types[r.Type], r.Position)
			for _, tag := range r.Tags {
				b.tags[tag] = append(b.tags[tag], r.Position)
			}
		}
	}
	for i := range changesets {
		b.settle(changesets[i].Stream.Partition, changesets[i].Releases, "")
	}
	for i := range changesets {
		b.settle(changesets[i].Stream.Partition, changesets[i].Claims, changesets[i].Stream.Name)
	}
}

func (b *plainBuilder) settle(partition string, claims []daybook.Claim, holder string) {
	if b.claims[partition] == nil {
		b.claims[partition] = map[daybook.Claim]string{}
	}
	for _, claim := range claims {
		b.claims[partition][claim] = holder
	}
}

func (b *plainBuilder) write(t testing.TB) []byte {
	t.Helper()
	claims := 0
	for _, of := range b.claims {
		claims += len(of)
	}
	var file bytes.Buffer
	w := NewWriter(&file, testStore, b.segments, Counts{
		Streams: int64(len(b.heads)),
		Others:  int64(len(b.appends) + claims + len(b.tags) + len(b.partitions) + len(b.kinds) + len(b.types)),
	})
	for _, id := range slices.SortedFunc(maps.Keys(b.appends), func(x, y daybook.ID) int { return bytes.Compare(x[:], y[:]) }) {
		w.Append(id, b.appends[id])
	}
	for _, partition := range slices.Sorted(maps.Keys(b.claims)) {
		for _, claim := range slices.SortedFunc(maps.Keys(b.claims[partition]), compareClaims) {
			w.Claim(partition, claim, b.claims[partition][claim], 1)
		}
	}
	b.tags.write(w, w.Tag)
	b.partitions.write(w, w.Partition)
	for _, id := range slices.SortedFunc(maps.Keys(b.heads), daybook.StreamID.Compare) {
		w.Stream(id, b.heads[id])
		for _, f := range b.frames[id] {
			w.Changeset(f.First, f.Place)
		}
	}
	b.kinds.write(w, w.StreamType)
	b.types.write(w, w.Type)
	n, err := w.End(b.totals, b.marks...)
	if err != nil || n != int64(file.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", n, file.Len(), err)
	}
	return file.Bytes()
}

func (l lists) write(w *Writer, begin func(string)) {
	for _, text := range slices.Sorted(maps.Keys(l)) {
		begin(text)
		w.Positions(l[text])
	}
}

func compareClaims(a, b daybook.Claim) int {
	if a.Kind != b.Kind {
		return bytes.Compare([]byte(a.Kind), []byte(b.Kind))
	}
	return bytes.Compare([]byte(a.Value), []byte(b.Value))
}
