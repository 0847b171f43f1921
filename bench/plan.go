package main

import (
	"fmt"
	"slices"

	"github.com/daybook-go/daybook/bench/peer"
	"github.com/daybook-go/daybook/bench/report"
	"github.com/daybook-go/daybook/bench/work"
)

// comparison is a table that is to be measured: its rows, and what each does.
type comparison struct {
	table report.Table
	tasks []work.Task // of the rows, in their order; Dir and Duration are filled in later
	// prepare is what is done once before the rounds: what the tasks read.
	prepare []work.Task
}

// labels returns those of the rows.
func (c *comparison) labels() []string {
	var labels []string
	for _, row := range c.table.Rows {
		labels = append(labels, row.Label)
	}
	return labels
}

// row adds a contender, unless the options leave it out.
func (c *comparison) row(o options, label, about string, t work.Task) {
	if o.wants(t.Contender) {
		c.table.Rows = append(c.table.Rows, report.Row{Label: label, About: about})
		c.tasks = append(c.tasks, t)
	}
}

// peerRow adds a contender under its own name.
func (c *comparison) peerRow(o options, name string, t work.Task) {
	contender, _ := peer.Named(name)
	t.Contender = name
	c.row(o, name, contender.About, t)
}

// plan returns what is to be measured, in order.
func plan(o options) []comparison {
	sections := map[string]func(options) []comparison{
		report.SectionAppend:     planAppends,
		report.SectionConditions: planConditions,
		report.SectionReplay:     planReplays,
		report.SectionOpen:       planOpenings,
		report.SectionHTTP:       planHTTP,
	}
	var all []comparison
	for _, name := range report.SectionNames() {
		if slices.Contains(o.sections, name) {
			for _, c := range sections[name](o) {
				if len(c.tasks) > 0 {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

func planAppends(o options) []comparison {
	type shape struct{ bytes, writers, group int }
	var shapes []shape
	sizes := []int{256, 1024}
	grouped := []shape{{256, 64, 10}, {256, 64, 100}}
	if o.quick {
		sizes = sizes[:1]
	} else {
		for _, group := range []int{10, 100, 1000} {
			grouped = append(grouped, shape{256, 1, group}, shape{1024, 64, group})
		}
		grouped = append(grouped, shape{256, 64, 1000})
	}
	for _, bytes := range sizes {
		for _, writers := range []int{1, 16, 64, 256} {
			shapes = append(shapes, shape{bytes, writers, 1})
		}
	}
	var list []comparison
	for _, s := range append(shapes, grouped...) {
		c := comparison{table: report.Table{
			Section: report.SectionAppend, Key: fmt.Sprintf("append/%d/%d/%d", s.bytes, s.writers, s.group), Unit: "events", Base: "R",
			Title: fmt.Sprintf("%d bytes, %s, %s an append", s.bytes, count(s.writers, "writer"), count(s.group, "event")),
		}}
		for _, contender := range peer.All() {
			if !contender.OneWriter || s.writers == 1 {
				c.peerRow(o, contender.Name, work.Task{Work: "append", Bytes: s.bytes, Writers: s.writers, Group: s.group})
			}
		}
		list = append(list, c)
	}
	return list
}

// count writes how many: "1 writer", "16 writers".
func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// daybooks returns the names under which Daybook takes part.
func daybooks() []string { return []string{"daybook", "daybook-memory"} }

func planConditions(o options) []comparison {
	var list []comparison
	writers := []int{1, 16, 64, 256}
	if o.quick {
		writers = []int{64}
	}
	for _, n := range writers {
		c := comparison{table: report.Table{
			Section: report.SectionConditions, Key: fmt.Sprintf("conditions/%d", n), Unit: "events", Base: "daybook, no condition",
			Title: fmt.Sprintf("Own boundaries, %s, 256 bytes", count(n, "writer")),
		}}
		for _, name := range daybooks() {
			task := work.Task{Contender: name, Bytes: 256, Writers: n, Group: 1}
			for _, variant := range []struct{ work, label, about string }{
				{"append-tagged", "no condition", "each event carries a tag"},
				{"append-if-never", "a condition that never matches", "no event with a tag that nobody writes, in the whole log"},
				{"append-if-own", "a condition on the writer's own tag", "no event with the writer's tag above the last it stored"},
			} {
				task.Work = variant.work
				c.row(o, name+", "+variant.label, variant.about, task)
			}
		}
		list = append(list, c)
	}
	for _, n := range writers {
		if n > 1 {
			list = append(list, planContention(o, n))
		}
	}
	return list
}

func planContention(o options, writers int) comparison {
	c := comparison{table: report.Table{
		Section: report.SectionConditions, Key: fmt.Sprintf("contention/%d", writers), Unit: "events",
		Title: fmt.Sprintf("One boundary for all, %s, 256 bytes", count(writers, "writer")),
	}}
	task := work.Task{Bytes: 256, Writers: writers, Group: 1}
	for _, name := range daybooks() {
		task.Contender, task.Work = name, "contend-tag"
		c.row(o, name+", one tag", "a condition on a tag that all write", task)
	}
	for _, contender := range []string{"daybook", "daybook-memory", "sqlite", "postgres", "message-db"} {
		task.Contender, task.Work = contender, "contend-stream"
		c.row(o, contender+", one stream", "the version of a stream that all write to", task)
	}
	return c
}

func planHTTP(o options) []comparison {
	var list []comparison
	connections := []int{64, 256}
	if o.quick {
		connections = connections[:1]
	}
	for _, n := range connections {
		c := planRequests(o, n, 1, "handler", "a net/http handler that reads the body and answers")
		list = append(list, c)
	}
	list = append(list, planRequests(o, 64, 100, "handler-split", "a net/http handler that cuts the JSON into its events"))
	tail := work.Task{Work: "http-tail", Bytes: 256, Writers: 1000, Records: 20_000, Group: 100}
	if o.quick {
		tail.Records = 5_000
	}
	c := comparison{table: report.Table{
		Section: report.SectionHTTP, Key: "http/tail", Unit: "events", Base: "coalescing",
		Title: fmt.Sprintf("Live tail, %d readers of server-sent events, %d records", tail.Writers, tail.Records),
	}}
	tail.Contender = "coalescing"
	c.row(o, "coalescing", "writes to each reader all that waits, from one buffer", tail)
	for _, name := range daybooks() {
		c.peerRow(o, name, tail)
	}
	return append(list, c)
}

func planRequests(o options, connections, group int, handler, about string) comparison {
	c := comparison{table: report.Table{
		Section: report.SectionHTTP, Key: fmt.Sprintf("http/%d/%d", connections, group), Unit: "events", Base: handler,
		Title: fmt.Sprintf("Appends from %s, %s of 256 bytes a request", count(connections, "connection"), count(group, "event")),
	}}
	task := work.Task{Work: "http-append", Contender: handler, Bytes: 256, Writers: connections, Group: group}
	c.row(o, handler, about, task)
	for _, name := range daybooks() {
		c.peerRow(o, name, task)
	}
	task.Volatile, task.Contender = true, "daybook"
	c.row(o, "daybook, not durable", "the same, asked for no more than memory", task)
	return c
}
