package logindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

var (
	testStore = daybook.ID{15: 7}
	testTime  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// generator makes a log, and remembers what an index must say of it.
type generator struct {
	*rand.Rand
	position daybook.Position
	ordinal  daybook.Ordinal
	time     time.Time
	heads    map[daybook.StreamID]daybook.Head
	used     []daybook.ID
	writes   [][][]Changeset // by segment, then as they were written
}

func newGenerator(t testing.TB) *generator {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	return &generator{
		Rand: rand.New(rand.NewPCG(seed, 1)), heads: map[daybook.StreamID]daybook.Head{},
		time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func (g *generator) stream() daybook.StreamID {
	partition := []string{"", "p", "p\x00", "p\x00q"}[g.IntN(4)]
	return daybook.StreamID{Partition: partition, Name: []string{"a-", "a\x00-", "order-"}[g.IntN(3)] + strconv.Itoa(g.IntN(40))}
}

func (g *generator) id() daybook.ID {
	if len(g.used) > 0 && g.IntN(20) == 0 {
		return g.used[g.IntN(len(g.used))]
	}
	var id daybook.ID
	binary.BigEndian.PutUint64(id[:], g.Uint64())
	g.used = append(g.used, id)
	return id
}

func (g *generator) tags() (tags []string) {
	for _, tag := range []string{"all", "even", fmt.Sprint("n:", g.IntN(50)), fmt.Sprint("\x00", g.IntN(3))} {
		if g.IntN(2) == 0 {
			tags = append(tags, tag)
		}
	}
	return tags
}

func (g *generator) claims() (claims []daybook.Claim) {
	for g.IntN(4) == 0 {
		claims = append(claims, daybook.Claim{Kind: "k", Value: strconv.Itoa(g.IntN(12))})
	}
	return claims
}

// segment adds a segment of so many writes.
func (g *generator) segment(writes int) {
	number, offset := len(g.writes), int64(72)
	var all [][]Changeset
	for range writes {
		var written []Changeset
		id, in := g.id(), map[daybook.StreamID]bool{}
		for range 1 + g.IntN(3) {
			c := g.changeset(id, number, offset)
			if in[c.Stream] {
				continue
			}
			in[c.Stream] = true
			offset += 8 * int64(12+g.IntN(40))
			g.take(&c)
			written = append(written, c)
		}
		all = append(all, written)
	}
	g.writes = append(g.writes, all)
}

func (g *generator) changeset(id daybook.ID, segment int, offset int64) Changeset {
	c := Changeset{
		Place: PlaceOf(segment, offset), Stream: g.stream(), AppendID: id,
		Claims: g.claims(), Releases: g.claims(), RecordedAt: g.time,
	}
	head := g.heads[c.Stream]
	c.Number, c.First, c.Since = head.Changeset+1, head.Version+1, head.First
	if !head.Exists() {
		c.First = daybook.Version(1 + g.IntN(3))
		c.Since = c.First
	}
	position := g.position
	for range 1 + g.IntN(4) {
		position += daybook.Position(1 + g.IntN(2)*g.IntN(3))
		c.Records = append(c.Records, Record{Position: position, Type: fmt.Sprint("type", g.IntN(4)), Tags: g.tags()})
	}
	return c
}

// take makes a changeset the last of the log.
func (g *generator) take(c *Changeset) {
	g.ordinal++
	c.Ordinal = g.ordinal
	g.position = c.Records[len(c.Records)-1].Position
	g.time = g.time.Add(time.Duration(g.IntN(3)) * time.Millisecond)
	g.heads[c.Stream] = daybook.Head{
		Version: c.First + daybook.Version(len(c.Records)) - 1, Changeset: c.Number, First: c.Since,
		Position: g.position, RecordedAt: c.RecordedAt,
	}
}

// build returns the index of the segments from one up to another.
func (g *generator) build(t testing.TB, from, to int) []byte {
	t.Helper()
	b := newPlainBuilder()
	for n := from; n < to; n++ {
		first := g.writes[n][0][0]
		b.begin(Segment{First: first.Records[0].Position, Bytes: 1 << 20, Seed: uint32(n)})
		for _, written := range g.writes[n] {
			based := slices.Clone(written)
			for i := range based {
				based[i].Place -= PlaceOf(from, 0)
				b.mark(&based[i])
			}
			b.add(based)
		}
	}
	return b.write(t)
}

func openRun(t testing.TB, file []byte) *Run {
	t.Helper()
	r, err := Open(bytes.NewReader(file), int64(len(file)), testStore)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mergeRuns(t testing.TB, whole bool, runs ...*Run) []byte {
	t.Helper()
	var file bytes.Buffer
	if n, err := Merge(&file, whole, runs...); err != nil || n != int64(file.Len()) {
		t.Fatalf("merged %d of %d bytes: %v", n, file.Len(), err)
	}
	return file.Bytes()
}

// model is what the index of some segments must say, gathered the plain way.
type model struct {
	base    Place
	from    int // the first segment
	heads   map[daybook.StreamID]daybook.Head
	frames  map[daybook.StreamID][]VersionPlace
	appends map[daybook.ID]Place
	claims  map[daybook.StreamID]map[daybook.Claim]string
	records []Record
	all     []Changeset
}

func (g *generator) model(from, to int) *model {
	m := &model{
		base: PlaceOf(from, 0), from: from, heads: map[daybook.StreamID]daybook.Head{}, frames: map[daybook.StreamID][]VersionPlace{},
		appends: map[daybook.ID]Place{}, claims: map[daybook.StreamID]map[daybook.Claim]string{},
	}
	for _, writes := range g.writes[from:to] {
		for _, written := range writes {
			for _, c := range written {
				m.add(&c)
			}
			settle := func(c *Changeset, claims []daybook.Claim, name string) {
				of := daybook.StreamID{Partition: c.Stream.Partition}
				if m.claims[of] == nil {
					m.claims[of] = map[daybook.Claim]string{}
				}
				for _, claim := range claims {
					m.claims[of][claim] = name
				}
			}
			for i := range written {
				settle(&written[i], written[i].Releases, "")
			}
			for i := range written {
				settle(&written[i], written[i].Claims, written[i].Stream.Name)
			}
		}
	}
	return m
}

func (m *model) add(c *Changeset) {
	place := c.Place - m.base
	last := len(c.Records) - 1
	m.heads[c.Stream] = daybook.Head{
		Version: c.First + daybook.Version(last), Changeset: c.Number, First: c.Since,
		Position: c.Records[last].Position, RecordedAt: c.RecordedAt,
	}
	m.frames[c.Stream] = append(m.frames[c.Stream], VersionPlace{c.First, place})
	if _, known := m.appends[c.AppendID]; !known {
		m.appends[c.AppendID] = place
	}
	m.records = append(m.records, c.Records...)
	m.all = append(m.all, *c)
}

// matching returns the positions that a query selects.
func (m *model) matching(query daybook.Query) (positions []daybook.Position) {
	for _, r := range m.records {
		if query.Matches(r.Type, r.Tags) {
			positions = append(positions, r.Position)
		}
	}
	return positions
}

func (m *model) sortedStreams() []daybook.StreamHead {
	var all []daybook.StreamHead
	for _, id := range slices.SortedFunc(maps.Keys(m.heads), daybook.StreamID.Compare) {
		all = append(all, daybook.StreamHead{Stream: id, Head: m.heads[id]})
	}
	return all
}

func isDamaged(err error) bool { return errors.Is(err, ErrDamaged) }
