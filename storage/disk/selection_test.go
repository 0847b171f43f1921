package disk_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// A read by a query takes another way than one of everything: both must give
// the same records.
func TestAReadByAQueryGivesWhatTheWholeLogHoldsOfIt(t *testing.T) {
	random := seeded(t)
	d := open(t, t.TempDir(), &disk.Options{SegmentBytes: 40 << 10})
	fillRandomly(t, d, random)
	all := wholeLog(t, d)
	end := all[len(all)-1].Position
	for n := range 400 {
		read := daybook.LogRead{
			Filter: daybook.Filter{Query: randomQuery(random)}, Backwards: n%2 == 0, Limit: random.IntN(3) * random.IntN(40), Borrow: n%3 == 0,
		}
		if random.IntN(2) == 0 {
			read.After = daybook.Position(random.Int64N(int64(end)))
		}
		if random.IntN(2) == 0 {
			read.To = daybook.Position(random.Int64N(int64(end) + 10))
		}
		if random.IntN(4) == 0 {
			read.Until = all[random.IntN(len(all))].RecordedAt
		}
		if random.IntN(3) == 0 { // by streams alone
			read.Filter.Query = daybook.Query{}
		}
		for random.IntN(2) == 0 {
			read.Filter.StreamTypes = append(read.Filter.StreamTypes, []string{"account", "order", "none"}[random.IntN(3)])
		}
		for random.IntN(3) == 0 {
			read.Filter.Partitions = append(read.Filter.Partitions, []string{"", "north", "south", "none"}[random.IntN(4)])
		}
		var want []daybook.Record
		for i := range all {
			if r := &all[i]; read.Holds(r) {
				want = append(want, *r)
			}
		}
		if read.Backwards {
			slices.Reverse(want)
		}
		if read.Limit > 0 && len(want) > read.Limit {
			want = want[:read.Limit]
		}
		var got []daybook.Record
		for r, err := range d.ReadLog(t.Context(), read) {
			if err != nil {
				t.Fatalf("%+v: %v", read, err)
			}
			got = append(got, r.Clone())
		}
		wantRecords(t, fmt.Sprintf("%+v", read), got, want)
	}
}

// fillRandomly appends and imports records with few types and tags, some of
// them far apart in the file, some with gaps between their positions.
func fillRandomly(t *testing.T, d *disk.Driver, random *rand.Rand) {
	t.Helper()
	for n := range 600 {
		var some []daybook.Event
		for range 1 + random.IntN(3)*random.IntN(3) {
			e := event(n)
			e.Type, e.Tags = fmt.Sprintf("kind%d", random.IntN(4)), randomTags(random)
			e.Data = make([]byte, random.IntN(300)+random.IntN(2)*random.IntN(2)*random.IntN(9000))
			some = append(some, e)
		}
		name := fmt.Sprintf("account-%d", random.IntN(9))
		if random.IntN(3) == 0 {
			name = fmt.Sprintf("order-%d", random.IntN(9))
		}
		id := daybook.StreamID{Partition: []string{"", "north", "south"}[random.IntN(3)], Name: name}
		if _, err := daybook.New(d, nil).AppendAll(t.Context(), daybook.Append{
			Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{{Stream: id, Events: some}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	end, err := d.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var changesets []daybook.RecordedChangeset
	at := daybook.Microseconds(time.Now().Add(time.Hour))
	for n := range 20 {
		c := daybook.RecordedChangeset{
			Stream: daybook.Stream(fmt.Sprintf("import-%d", n)), RecordedAt: at,
			ChangesetHeader: daybook.ChangesetHeader{Number: 1, First: 1, Count: 3, AppendID: daybook.NewID()},
		}
		for version := range daybook.Version(3) {
			end += daybook.Position(1 + random.Int64N(5))
			e := event(n)
			e.ID, e.ContentType, e.OccurredAt = daybook.NewID(), daybook.ContentTypeJSON, at
			e.Type, e.Tags = fmt.Sprintf("kind%d", random.IntN(4)), randomTags(random)
			c.Records = append(c.Records, daybook.Record{
				Event: e, Stream: c.Stream, Version: version + 1, Position: end, RecordedAt: at,
			})
		}
		changesets = append(changesets, c)
	}
	if err := d.Import(t.Context(), changesets); err != nil {
		t.Fatal(err)
	}
}

// randomTags returns tags of which one is on about half of all records, the
// next on a quarter, and so on.
func randomTags(random *rand.Rand) []string {
	var tags []string
	for i := range 7 {
		if random.IntN(2<<i) == 0 {
			tags = append(tags, fmt.Sprintf("tag%d", i))
		}
	}
	return tags
}

func randomQuery(random *rand.Rand) daybook.Query {
	var query daybook.Query
	for range 1 + random.IntN(3) {
		var item daybook.QueryItem
		for range random.IntN(3) {
			item.Types = append(item.Types, fmt.Sprintf("kind%d", random.IntN(5)))
		}
		for range random.IntN(3) {
			item.Tags = append(item.Tags, fmt.Sprintf("tag%d", random.IntN(8)))
		}
		query.Items = append(query.Items, item)
	}
	return query
}

// seeded returns the random numbers of this run: from DAYBOOK_SEED, or else
// different ones each time.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("DAYBOOK_SEED: %v", err)
		}
		seed = given
	}
	t.Logf("DAYBOOK_SEED=%d replays this", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// A read by a query steps over frames by their lengths without a look at their
// checksums: damage there must not lead it astray.
func TestAReadByAQueryNoticesADamagedLengthOnItsWay(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	for n := range 8 {
		add(t, d, "account-1", daybook.Event{Type: fmt.Sprintf("kind%d", n), Data: make([]byte, 200)})
	}
	file, err := os.OpenFile(filepath.Join(dir, firstSegment), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const length = 72 + 8 // of the first frame's body, in its header
	var sound [4]byte
	if _, err := file.ReadAt(sound[:], length); err != nil {
		t.Fatal(err)
	}
	query := daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"kind6"}}}}}
	for _, wrong := range []uint32{0, 8, 1 << 10, 1<<32 - 8, binary.LittleEndian.Uint32(sound[:]) + 8, 2*binary.LittleEndian.Uint32(sound[:]) + 88} {
		if _, err := file.WriteAt(binary.LittleEndian.AppendUint32(nil, wrong), length); err != nil {
			t.Fatal(err)
		}
		got, err := readLog(t, d, daybook.LogRead{Filter: query})
		right := len(got) == 1 && got[0].Type == "kind6" && err == nil
		if !right && !(len(got) == 0 && errors.Is(err, daybook.ErrCorrupt)) {
			t.Errorf("with a length of %d the read gives %d records and %v", wrong, len(got), err)
		}
	}
	if _, err := file.WriteAt(sound[:], length); err != nil {
		t.Fatal(err)
	}
	if got, err := readLog(t, d, daybook.LogRead{Filter: query}); err != nil || len(got) != 1 {
		t.Errorf("with the right length again the read gives %d records and %v", len(got), err)
	}
}

// A read that wants few streams, or the front of the log from behind, must not
// read all that it does not want.
func TestAReadReadsLittleBesidesWhatItWants(t *testing.T) {
	fsys := newTellFS()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := open(t, t.TempDir(), &disk.Options{SegmentBytes: 300 << 10, FS: fsys, Now: func() time.Time { return now }})
	var total int64
	for n := range 4000 {
		id := daybook.Stream(fmt.Sprintf("account-%d", n%10))
		if n%1000 == 500 {
			id = daybook.StreamID{Partition: "north", Name: fmt.Sprintf("order-%d", n)}
		}
		now = now.Add(time.Second)
		if _, err := daybook.New(d, nil).AppendAll(t.Context(), daybook.Append{
			Durability: daybook.DurabilityOS, Changesets: []daybook.Changeset{{Stream: id, Events: events(n, 1)}},
		}); err != nil {
			t.Fatal(err)
		}
		total += 200
	}
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(100 * time.Second)
	for what, c := range map[string]struct {
		read daybook.LogRead
		want int
	}{
		"a stream type":            {daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"order"}}}, 4},
		"a stream type, backwards": {daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"order"}}, Backwards: true}, 4},
		"a partition":              {daybook.LogRead{Filter: daybook.Filter{Partitions: []string{"north"}}}, 4},
		"an early time, backwards": {daybook.LogRead{Until: until, Backwards: true}, 100},
	} {
		before := fsys.read.Load()
		got, err := gather(d.ReadLog(t.Context(), c.read))
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %d records, %v, want %d", what, len(got), err, c.want)
		}
		if read := fsys.read.Load() - before; read > total/2 {
			t.Errorf("%s: %d bytes of about %d were read", what, read, total)
		}
	}
}
