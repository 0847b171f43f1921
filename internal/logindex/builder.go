package logindex

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"slices"

	"github.com/daybook-go/daybook"
)

// Builder gathers what an index says of whole segments, in memory, and writes
// it. A Builder serves one goroutine.
type Builder struct {
	store    daybook.ID
	segments []Segment
	totals   Totals
	appends  []placedAppend
	streams  map[daybook.StreamID]*builtStream
	claims   map[string]daybook.StreamID // by key; a stream without a name: released
	lists    map[string]*[]int64         // positions by the key of their list
	places   []numberedPlace             // of all changesets, by position
	key      []byte
}

type placedAppend struct {
	id    daybook.ID
	place Place
}

// numberedPlace is an element of a list.
type numberedPlace struct {
	number int64
	place  Place
}

type builtStream struct {
	head   daybook.Head
	frames []numberedPlace // by version
}

// NewBuilder returns a Builder for segments of a store.
func NewBuilder(store daybook.ID) *Builder {
	return &Builder{
		store: store, streams: map[daybook.StreamID]*builtStream{},
		claims: map[string]daybook.StreamID{}, lists: map[string]*[]int64{},
	}
}

// Segment begins a segment: what is added from now on stands in it. Segments
// must follow one another in the log.
func (b *Builder) Segment(s Segment) { b.segments = append(b.segments, s) }

// Add takes in what was written as one append or import, all of it, in the
// order of the log. The changesets' places are those in the index.
func (b *Builder) Add(changesets []Changeset) {
	for i := range changesets {
		b.add(&changesets[i])
	}
	for from := 0; from < len(changesets); {
		to := from + 1
		for to < len(changesets) && changesets[to].AppendID == changesets[from].AppendID {
			to++
		}
		b.settle(changesets[from:to])
		from = to
	}
}

func (b *Builder) add(c *Changeset) {
	first, last := c.Records[0].Position, c.Records[len(c.Records)-1].Position
	totals := Totals{
		Changesets: 1, Records: int64(len(c.Records)), LongestStream: c.Number,
		FirstPosition: first, LastPosition: last, LastOrdinal: c.Ordinal, LastRecorded: c.RecordedAt,
	}
	if c.Since == c.First {
		totals.Streams = 1
	}
	b.totals.Add(totals)
	s := b.streams[c.Stream]
	if s == nil {
		s = &builtStream{}
		b.streams[c.Stream] = s
	}
	s.head = daybook.Head{
		Version: c.First + daybook.Version(len(c.Records)) - 1, Changeset: c.Number, First: c.Since,
		Position: last, RecordedAt: c.RecordedAt,
	}
	s.frames = append(s.frames, numberedPlace{int64(c.First), c.Place})
	b.appends = append(b.appends, placedAppend{c.AppendID, c.Place})
	b.places = append(b.places, numberedPlace{int64(first), c.Place})
	b.key = textKey(b.key[:0], keyStreamType, c.Stream.Partition, c.Stream.Type())
	b.list(first)
	for i := range c.Records {
		r := &c.Records[i]
		b.key = textKey(b.key[:0], keyType, r.Type)
		b.list(r.Position)
		for _, tag := range r.Tags {
			b.key = textKey(b.key[:0], keyTag, tag)
			b.list(r.Position)
		}
	}
}

// list adds a position to the list whose key is in b.key.
func (b *Builder) list(position daybook.Position) {
	list := b.lists[string(b.key)]
	if list == nil {
		list = new([]int64)
		b.lists[string(b.key)] = list
	}
	*list = append(*list, int64(position))
}

// settle carries out the releases of an append, then its claims.
func (b *Builder) settle(changesets []Changeset) {
	for i := range changesets {
		for _, claim := range changesets[i].Releases {
			b.claims[string(b.claimKey(changesets[i].Stream.Partition, claim))] = daybook.StreamID{}
		}
	}
	for i := range changesets {
		for _, claim := range changesets[i].Claims {
			b.claims[string(b.claimKey(changesets[i].Stream.Partition, claim))] = changesets[i].Stream
		}
	}
}

func (b *Builder) claimKey(partition string, claim daybook.Claim) []byte {
	b.key = textKey(b.key[:0], keyClaim, partition, claim.Kind, claim.Value)
	return b.key
}

// WriteTo writes the index. The Builder must not be used afterwards.
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	slices.SortStableFunc(b.appends, func(x, y placedAppend) int { return bytes.Compare(x.id[:], y.id[:]) })
	b.appends = slices.CompactFunc(b.appends, func(x, y placedAppend) bool { return x.id == y.id })
	f := newFileWriter(w, b.store, b.segments, int64(len(b.streams)), int64(len(b.appends)+len(b.claims)+len(b.lists)))
	for i := range b.appends {
		b.key = append(append(b.key[:0], keyAppend), b.appends[i].id[:]...)
		f.entry(b.key, binary.AppendUvarint(nil, uint64(b.appends[i].place)))
	}
	for _, key := range slices.Sorted(maps.Keys(b.claims)) {
		f.entry([]byte(key), claimValue(b.claims[key]))
	}
	ids := slices.SortedFunc(maps.Keys(b.streams), compareStreams)
	for _, id := range ids {
		b.key = streamKey(b.key[:0], keyFrames, id)
		for _, frame := range b.streams[id].frames {
			f.listed(b.key, frame.number, frame.place)
		}
	}
	keys := slices.Sorted(maps.Keys(b.lists))
	keys = b.writeLists(f, keys, keyPlaces)
	for _, p := range b.places {
		f.listed([]byte{keyPlaces}, p.number, p.place)
	}
	for _, id := range ids {
		f.entry(streamKey(b.key[:0], keyStream, id), headValue(b.streams[id].head))
	}
	b.writeLists(f, keys, 0xff)
	return f.end(b.totals)
}

// writeLists writes those of the sorted lists whose kinds sort below a kind,
// and returns the others.
func (b *Builder) writeLists(f *fileWriter, keys []string, below byte) []string {
	for len(keys) > 0 && keys[0][0] < below {
		for _, position := range *b.lists[keys[0]] {
			f.listed([]byte(keys[0]), position, 0)
		}
		keys = keys[1:]
	}
	return keys
}
