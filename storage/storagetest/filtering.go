package storagetest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/daybook-go/daybook"
)

var filterPromises = []Promise{
	{
		Name: "a filter selects by partition and by stream type", Feature: Filtering, check: checkFilter,
		Sentence: "A reader of one tenant or one kind of stream sees records of others, or misses its own.",
	},
	{
		Name: "a query selects by type and by tags", Feature: Filtering, check: checkQuery,
		Sentence: "A query gives records that do not match any of its items, or leaves out some that do.",
	},
	{
		Name: "a limit counts what the filter selects", Feature: Filtering, check: checkFilterLimit,
		Sentence: "A reader that asks for the next ten records of a kind is given fewer, though there are more.",
	},
	{
		Name: "every read agrees with a walk through the log", Feature: Filtering, check: checkRandomReads,
		Sentence: "Some combination of filter, bounds, direction and limit gives another result than its parts say.",
	},
}

// selects reports whether a filter selects a record: the rule, once more, in
// the plainest words.
func selects(f daybook.Filter, r daybook.Record) bool {
	partition, kind := len(f.Partitions) == 0, len(f.StreamTypes) == 0
	for _, p := range f.Partitions {
		partition = partition || r.Stream.Partition == p
	}
	for _, t := range f.StreamTypes {
		before, _, _ := strings.Cut(r.Stream.Name, "-")
		kind = kind || before == t
	}
	return partition && kind && matches(f.Query, r.Type, r.Tags)
}

// matches reports whether a query selects an event with this type and tags.
func matches(q daybook.Query, kind string, tags []string) bool {
	if len(q.Items) == 0 {
		return true
	}
	for _, item := range q.Items {
		oneType := len(item.Types) == 0
		for _, t := range item.Types {
			oneType = oneType || t == kind
		}
		allTags := true
		for _, wanted := range item.Tags {
			found := false
			for _, tag := range tags {
				found = found || tag == wanted
			}
			allTags = allTags && found
		}
		if oneType && allTags {
			return true
		}
	}
	return false
}

// fillTagged appends events of different partitions, stream types, types and
// tags, each known by the name of its stream and version.
func (b *book) fillTagged() {
	b.s.Helper()
	for _, c := range []struct {
		partition, stream, kind string
		tags                    []string
	}{
		{"", "course-1", "defined", []string{"course:1"}},
		{"", "course-2", "defined", []string{"course:2"}},
		{"", "student-1", "registered", []string{"student:1"}},
		{"", "student-1", "subscribed", []string{"student:1", "course:1"}},
		{"", "student-1", "subscribed", []string{"course:2", "student:1", "paid"}},
		{"north", "course-1", "defined", []string{"course:1"}},
		{"north", "student-1", "subscribed", []string{"student:1", "course:1"}},
		{"south", "student-2", "registered", nil},
		{"", "student-2", "subscribed", []string{"student:2", "course:1"}},
		{"", "course", "renamed", []string{"course:1", "course:2"}},
		{"", "courses-1", "defined", []string{"course:11"}},
		{"north", "student", "registered", []string{"student:11", "Student:1"}},
	} {
		id := daybook.StreamID{Partition: c.partition, Name: c.stream}
		b.appendAll(daybook.Append{Changesets: []daybook.Changeset{{Stream: id, Events: []daybook.Event{event(c.kind, c.tags...)}}}})
	}
}

// hold reads the log with each filter, both ways, and compares what comes with
// a walk through all records; counts are how many records must come.
func (b *book) hold(filter daybook.Filter, count int) {
	b.s.Helper()
	all := b.log()
	for _, backwards := range []bool{false, true} {
		read := daybook.LogRead{Filter: filter, Backwards: backwards}
		got := b.readLog(read)
		if len(got) != count {
			b.s.Errorf("reading %s gave %d records %s, want %d", describeLogRead(read), len(got), places(got), count)
		}
		b.s.sameRecords(got, wantLog(all, read), "reading "+describeLogRead(read))
	}
}

func checkFilter(s *subject) {
	b := s.book()
	b.fillTagged()
	for _, c := range []struct {
		partitions, types []string
		count             int
	}{
		{nil, nil, 12},
		{[]string{""}, nil, 8},
		{[]string{"north"}, nil, 3},
		{[]string{"south", "north"}, nil, 4},
		{[]string{"", "south", ""}, nil, 9},
		{[]string{"nort"}, nil, 0},
		{[]string{"North"}, nil, 0},
		{nil, []string{"course"}, 4},
		{nil, []string{"student"}, 7},
		{nil, []string{"courses"}, 1},
		{nil, []string{"course-1"}, 0},
		{nil, []string{"cours"}, 0},
		{nil, []string{"Course"}, 0},
		{nil, []string{"course", "courses"}, 5},
		{[]string{"north"}, []string{"course"}, 1},
		{[]string{"", "north"}, []string{"student", "courses"}, 7},
		{[]string{"south"}, []string{"course"}, 0},
	} {
		b.hold(daybook.Filter{Partitions: c.partitions, StreamTypes: c.types}, c.count)
	}
}

// queryCase is a query, and how many records of fillTagged it matches.
type queryCase struct {
	items []daybook.QueryItem
	count int
}

var queryCases = []queryCase{
	{nil, 12},
	{[]daybook.QueryItem{{}}, 12},
	{[]daybook.QueryItem{{Types: []string{"defined"}}}, 4},
	{[]daybook.QueryItem{{Types: []string{"Defined"}}}, 0},
	{[]daybook.QueryItem{{Types: []string{"defined", "renamed"}}}, 5},
	{[]daybook.QueryItem{{Tags: []string{"course:1"}}}, 6},
	{[]daybook.QueryItem{{Tags: []string{"course:11"}}}, 1},
	{[]daybook.QueryItem{{Tags: []string{"student:1"}}}, 4},
	{[]daybook.QueryItem{{Tags: []string{"Student:1"}}}, 1},
	{[]daybook.QueryItem{{Tags: []string{"course:"}}}, 0},
	{[]daybook.QueryItem{{Tags: []string{"student:1", "course:1"}}}, 2},
	{[]daybook.QueryItem{{Tags: []string{"course:1", "student:1"}}}, 2},
	{[]daybook.QueryItem{{Tags: []string{"course:1", "course:2"}}}, 1},
	{[]daybook.QueryItem{{Tags: []string{"course:1", "course:1"}}}, 6},
	{[]daybook.QueryItem{{Tags: []string{"student:1", "course:2", "paid"}}}, 1},
	{[]daybook.QueryItem{{Tags: []string{"student:1", "course:2", "unpaid"}}}, 0},
	{[]daybook.QueryItem{{Types: []string{"subscribed"}, Tags: []string{"course:1"}}}, 3},
	{[]daybook.QueryItem{{Types: []string{"subscribed", "defined"}, Tags: []string{"course:1"}}}, 5},
	{[]daybook.QueryItem{{Types: []string{"registered"}, Tags: []string{"course:1"}}}, 0},
	{[]daybook.QueryItem{{Types: []string{"registered"}}, {Tags: []string{"course:2"}}}, 6},
	{[]daybook.QueryItem{{Types: []string{"subscribed"}, Tags: []string{"course:1"}}, {Tags: []string{"course:1"}}}, 6},
	{[]daybook.QueryItem{{Types: []string{"nothing"}}, {Types: []string{"renamed"}}, {Tags: []string{"nothing"}}}, 1},
	{[]daybook.QueryItem{{Types: []string{"registered"}, Tags: []string{"student:1"}}, {Types: []string{"defined"}, Tags: []string{"course:2"}}}, 2},
	{[]daybook.QueryItem{{Types: []string{"registered"}, Tags: []string{"course:2"}}, {Types: []string{"defined"}, Tags: []string{"student:1"}}}, 0},
	{[]daybook.QueryItem{{Types: []string{"nothing"}}, {}}, 12},
}

func checkQuery(s *subject) {
	b := s.book()
	b.fillTagged()
	for _, c := range queryCases {
		b.hold(daybook.Filter{Query: daybook.Query{Items: c.items}}, c.count)
	}
	many := daybook.Query{}
	for i := range 200 {
		many.Items = append(many.Items, daybook.QueryItem{Types: []string{"defined"}, Tags: []string{fmt.Sprintf("course:%d", i)}})
	}
	b.hold(daybook.Filter{Query: many}, 4)
	b.hold(daybook.Filter{Partitions: []string{"north"}, StreamTypes: []string{"student"}, Query: daybook.Query{
		Items: []daybook.QueryItem{{Types: []string{"registered"}}, {Tags: []string{"course:2"}}},
	}}, 1)
}

func checkFilterLimit(s *subject) {
	b := s.book()
	for i := range 30 {
		kind := "common"
		if i%6 == 5 {
			kind = "rare"
		}
		b.append(numbered("account", i%4), daybook.ExpectAny(), event(kind, numbered("tag", i%10)))
	}
	all := b.log()
	for _, query := range []daybook.Query{
		{Items: []daybook.QueryItem{{Types: []string{"rare"}}}},
		{Items: []daybook.QueryItem{{Tags: []string{"tag-9"}}}},
		{Items: []daybook.QueryItem{{Types: []string{"rare"}}, {Tags: []string{"tag-0"}}}},
	} {
		for limit := range 7 {
			for _, backwards := range []bool{false, true} {
				read := daybook.LogRead{Filter: daybook.Filter{Query: query}, Limit: limit, Backwards: backwards, After: all[3].Position}
				s.sameRecords(b.readLog(read), wantLog(all, read), "reading "+describeLogRead(read))
			}
		}
	}
}

func checkRandomReads(s *subject) {
	random := s.random()
	b := s.book()
	pools := newPools(random)
	for range 40 {
		id := pools.stream()
		a := daybook.Append{Changesets: []daybook.Changeset{{Stream: id}}}
		for range 1 + random.IntN(4) {
			a.Changesets[0].Events = append(a.Changesets[0].Events, event(pools.kind(), pools.tags()...))
		}
		b.appendAll(a)
	}
	all := b.log()
	position := func() daybook.Position {
		if random.IntN(3) == 0 {
			return 0
		}
		return all[random.IntN(len(all))].Position + daybook.Position(random.IntN(3)-1)
	}
	for range 300 {
		read := daybook.LogRead{
			After: max(position(), 0), To: max(position(), 0), Filter: pools.filter(),
			Backwards: random.IntN(2) == 0, Limit: max(0, random.IntN(12)-4),
		}
		if random.IntN(4) == 0 {
			read.Until = all[random.IntN(len(all))].RecordedAt
		}
		if !s.sameRecords(b.readLog(read), wantLog(all, read), "reading "+describeLogRead(read)) {
			return
		}
	}
}

// pools are small sets from which random appends and reads are drawn, so that
// they meet.
type pools struct{ random *rand.Rand }

func newPools(random *rand.Rand) *pools { return &pools{random: random} }

func pick[V any](p *pools, from ...V) V { return from[p.random.IntN(len(from))] }

func (p *pools) partition() string { return pick(p, "", "", "", "north", "south") }

func (p *pools) stream() daybook.StreamID {
	return daybook.StreamID{Partition: p.partition(), Name: numbered(pick(p, "account", "order", "order-line"), p.random.IntN(4))}
}

func (p *pools) kind() string { return pick(p, "opened", "deposited", "Deposited", "closed") }

// tags returns up to three different tags, in any order.
func (p *pools) tags() []string {
	all := []string{"a:1", "a:2", "b:1", "b:2", "A:1"}
	p.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:p.random.IntN(4)]
}

func (p *pools) query() daybook.Query {
	var q daybook.Query
	for range p.random.IntN(4) {
		var item daybook.QueryItem
		for range p.random.IntN(3) {
			item.Types = append(item.Types, p.kind())
		}
		if tags := p.tags(); len(tags) > 0 {
			item.Tags = tags[:p.random.IntN(len(tags))]
		}
		q.Items = append(q.Items, item)
	}
	return q
}

func (p *pools) filter() daybook.Filter {
	f := daybook.Filter{}
	for range max(0, p.random.IntN(5)-2) {
		f.Partitions = append(f.Partitions, p.partition())
	}
	for range max(0, p.random.IntN(5)-2) {
		f.StreamTypes = append(f.StreamTypes, pick(p, "account", "order", "line", "order-line"))
	}
	if p.random.IntN(3) > 0 {
		f.Query = p.query()
	}
	return f
}
