package main

import (
	"fmt"
	"slices"

	"github.com/daybook-go/daybook/bench/report"
	"github.com/daybook-go/daybook/bench/work"
)

// million counts the records of the sets.
const million = 1_000_000

// setSize is how many records a replay or an opening has before it.
type setSize struct {
	name    string
	records int64
}

func setSizes(o options) []setSize {
	list := []setSize{{short(o.records), o.records}}
	if o.large {
		list = append(list, setSize{short(10 * million), 10 * million})
	}
	return list
}

// short writes a number of thousands: "100k", "1M".
func short(n int64) string {
	if n%million == 0 {
		return fmt.Sprintf("%dM", n/million)
	}
	return fmt.Sprintf("%dk", n/1000)
}

func planReplays(o options) []comparison {
	kinds := []struct {
		key, work, title, base string
		contenders             []string
	}{
		{"whole", "replay", "the whole log", work.BareScan, []string{work.BareScan, "daybook", "sqlite", "postgres", "daybook-postgres", "jetstream"}},
		{"typed", "replay-typed", "the whole log, decoded into a struct", work.DecoderAlone, []string{work.DecoderAlone, "daybook"}},
		{"stream", "replay-stream", "one stream of 1,000 records", "", []string{"daybook", "pebble", "bbolt", "sqlite", "postgres", "daybook-postgres", "jetstream", "message-db"}},
		{"tag", "replay-tag", "what carries a tag, 1 % of all", "", []string{"daybook"}},
	}
	var list []comparison
	for _, s := range setSizes(o) {
		for _, kind := range kinds {
			c := comparison{table: report.Table{
				Section: report.SectionReplay, Key: "replay/" + s.name + "/" + kind.key, Unit: "records", Base: kind.base,
				Title: s.name + " records, " + kind.title,
			}}
			for _, name := range kind.contenders {
				if name == "message-db" && s.records > million {
					continue // loading it takes too long
				}
				task := work.Task{Work: kind.work, Contender: name, Bytes: 256, Records: s.records, Streams: s.records / 1000, Processors: 1}
				c.boundOrPeer(o, name, task)
				if name == "daybook" {
					task.Contender, task.Borrow = name, true
					c.row(o, "daybook, borrowed", "the same, each record lent until the next", task)
				}
			}
			list = append(list, prepared(c))
		}
	}
	return list
}

func planOpenings(o options) []comparison {
	var list []comparison
	for _, s := range setSizes(o) {
		c := comparison{table: report.Table{
			Section: report.SectionOpen, Key: "open/" + s.name, Unit: "records", Base: work.BareScan,
			Title: s.name + " records in " + setSizes(o)[0].name + " streams",
		}}
		task := work.Task{Work: "open", Bytes: 256, Records: s.records, Streams: setSizes(o)[0].records}
		for _, name := range []string{work.BareScan, "daybook", "pebble", "bbolt", "sqlite"} {
			c.boundOrPeer(o, name, task)
		}
		task.Contender, task.Killed = "daybook", true
		c.row(o, "daybook, killed", "opened after kill -9", task)
		list = append(list, prepared(c))
	}
	return list
}

// boundOrPeer adds a contender, which may be one of the bounds of reading.
func (c *comparison) boundOrPeer(o options, name string, t work.Task) {
	t.Contender = name
	switch name {
	case work.BareScan:
		c.row(o, name, "reads Daybook's files in large pieces, finds each frame and checks its CRC32C", t)
	case work.DecoderAlone:
		c.row(o, name, "decodes the same events from memory", t)
	default:
		c.peerRow(o, name, t)
	}
}

// prepared returns the comparison with the tasks that load what it reads.
func prepared(c comparison) comparison {
	for _, t := range c.tasks {
		if load, reads := loadOf(t); reads && !slices.Contains(c.prepare, load) {
			c.prepare = append(c.prepare, load)
		}
	}
	return c
}
