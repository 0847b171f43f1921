package disk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// forgeries are index files that are as they were written and tell deletions
// otherwise than the log, and what is to be said of each.
var forgeries = map[string]struct {
	forge func(told *part)
	want  string
}{
	"a deletion is missing": {
		func(p *part) { p.made = p.made[:1] }, `deletion 2, of stream "s-2", is missing in it`,
	},
	"a deletion too many": {
		func(p *part) {
			more := *p.made[1]
			more.Receipt.Number++
			p.made = append(p.made, &more)
		}, "Deletions:3",
	},
	"another stream": {
		func(p *part) { bend(p).Stream = daybook.Stream("s-0") }, `the stream is "s-0", not "s-2"`,
	},
	"more of it": {
		func(p *part) { bend(p).Receipt.Through++ }, "the last version that is gone is 4, not 3",
	},
	"less of it, and asked for otherwise": {
		func(p *part) {
			d := bend(p)
			d.Receipt.Through, d.Deletion.Through, d.emptied = 2, 2, false
		}, "the last version that is gone is 2, not 3, the version asked for is 2, not 0, that it emptied the stream is false, not true",
	},
	"no scrub": {
		func(p *part) { bend(p).Scrub = false }, "the scrub is false, not true",
	},
	"other counts": {
		func(p *part) {
			d := bend(p)
			d.Receipt.Changesets, d.Receipt.Records = 7, 8
		}, "the number of changesets is 7, not 3, the number of records is 8, not 3",
	},
	"another time": {
		func(p *part) {
			d := bend(p)
			d.Receipt.RecordedAt = d.Receipt.RecordedAt.Add(-1e9)
		}, "the recorded time is ",
	},
	"somebody else, for another reason": {
		func(p *part) {
			d := bend(p)
			d.Who, d.Why = "Bob", ""
		}, `who asked is "Bob", not "Ann", why is "", not "request 42"`,
	},
	"an id is missing": {
		func(p *part) { delete(p.ids, p.made[0].ID) }, "deletion 1 cannot be found by its id 01",
	},
	"an id leads to another": {
		func(p *part) { p.identify(p.made[0].ID, 2) }, "leads to deletion 2 in it, not to 1",
	},
	"an id too many": {
		func(p *part) { p.identify(daybook.IDOf("another"), 2) }, "DeletionIDs:3",
	},
	"nothing is hidden of a stream": {
		func(p *part) { delete(p.hidden, daybook.Stream("s-1")) },
		`stream "s-1" is not hidden in it, its deletions hide it through version 2`,
	},
	"more is hidden": {
		func(p *part) { p.hide("s-1", 3, 0) }, `stream "s-1" is hidden through version 3 in it, its deletions hide it through 2`,
	},
	"a stream was left empty": {
		func(p *part) { p.hide("s-1", 2, 2) }, `stream "s-1" was left empty last at version 2 in it, not at 0`,
	},
	"another stream is hidden": {
		func(p *part) { p.hide("s-0", 1, 0) }, `stream "s-0" is hidden through version 1 in it, no deletion took anything of it`,
	},
	"other totals": {
		func(p *part) { p.totals.DeletedRecords++ }, "DeletedRecords:6",
	},
}

// bend puts a copy of the second deletion, to be changed, in its place.
func bend(p *part) *deletion {
	d := *p.made[1]
	p.made[1] = &d
	return &d
}

// identify makes an id lead to a deletion.
func (p *part) identify(id daybook.ID, number daybook.DeletionNumber) {
	d := &deletion{}
	d.ID, d.Receipt.Number = id, number
	p.ids[id] = d
}

func (p *part) hide(stream string, through, emptied daybook.Version) {
	h := p.hidden[daybook.Stream(stream)]
	h.Through, h.Emptied = through, emptied
	p.hidden[daybook.Stream(stream)] = h
}

// deletedStore writes a store in whose first segment are two deletions, and
// closes it.
func deletedStore(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	d, err := Open(dir, &Options{SegmentBytes: 2 << 10})
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(d, nil)
	fill := func(from, to int) {
		for n := range to - from {
			id := daybook.Stream(fmt.Sprint("s-", (from+n)%3))
			if _, err := store.Append(t.Context(), id, daybook.ExpectAny(), daybook.Event{Type: "t", Data: []byte("1")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(0, 9)
	for _, asked := range []daybook.Deletion{
		{Stream: daybook.Stream("s-1"), Through: 2},
		{Stream: daybook.Stream("s-2"), Scrub: true, Who: "Ann", Why: "request 42"},
	} {
		if _, err := store.DeleteStream(t.Context(), asked); err != nil {
			t.Fatal(err)
		}
	}
	fill(9, 90)
	if n := len(d.log.segments); n < 3 {
		t.Fatalf("only %d segments", n)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckFindsIndexFilesThatTellDeletionsOtherwise(t *testing.T) {
	dir := deletedStore(t)
	forged := func(bend func(*part)) CheckReport {
		t.Helper()
		d, err := Open(dir, &Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		told, err := d.log.index.sealed.read(d.log.segments[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		bend(told)
		if err := forge(d.log, told); err != nil {
			t.Fatal(err)
		}
		report, err := Check(t.Context(), dir, &CheckOptions{Deep: true, FS: durable.OS})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if report := forged(func(*part) {}); !report.OK() || report.IndexFiles != 1 {
		t.Fatalf("of an index file that is right: %v", report.Problems)
	}
	for _, what := range slices.Sorted(maps.Keys(forgeries)) {
		f := forgeries[what]
		told := ""
		for _, p := range forged(f.forge).Problems {
			if p.Kind == BrokenAnswers {
				told += p.String() + "\n"
			}
		}
		if !strings.Contains(told, f.want) || !strings.Contains(told, indexName(1, 1)) {
			t.Errorf("%s: told is %q, want %q", what, told, f.want)
		}
	}
}
