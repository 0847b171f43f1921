package storagetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

var contentPromises = []Promise{
	{
		Name: "data comes back byte for byte", Feature: Contents, check: checkData,
		Sentence: "The store has changed what it was given: reformatted JSON, cut a number, or stumbled over a byte.",
	},
	{
		Name: "large data comes back byte for byte", Feature: Contents, check: checkLargeData,
		Sentence: "An event of a mebibyte is cut, changed, or not taken.",
	},
	{
		Name: "the content type is kept", Feature: Contents, check: checkContentType,
		Sentence: "A reader no longer knows how to read the data.",
	},
	{
		Name: "names that differ in a byte are different streams", Feature: Contents, check: checkNames,
		Sentence: "Two subjects share one stream: the storage folds case, accents or spaces, or a name is cut or misread.",
	},
	{
		Name: "types and tags that differ in a byte are different", Feature: Contents, check: checkTypesAndTags,
		Sentence: "A query finds events of another type or tag: the storage folds case, accents or spaces, or misreads one.",
	},
	{
		Name: "the context of an event is kept", Feature: Contents, check: checkContext,
		Sentence: "It can no longer be told who did what, and why.",
	},
	{
		Name: "the metadata of a changeset is kept", Feature: Contents, check: checkChangesetMetadata,
		Sentence: "What was said about an append as a whole is lost or changed.",
	},
	{
		Name: "the time of the fact is kept to the microsecond", Feature: Contents, check: checkOccurredAt,
		Sentence: "An event says that its fact happened at another time than the caller said.",
	},
	{
		Name: "an event that tells no time happened when it was recorded", Feature: Contents, check: checkOccurredNever,
		Sentence: "An event that told no time shows one that nobody gave it.",
	},
	{
		Name: "tags keep their order", Feature: Contents, check: checkTagOrder,
		Sentence: "Tags come back in another order, so that a record no longer equals what was appended.",
	},
	{
		Name: "the longest texts are kept", Feature: Contents, check: checkLongest,
		Sentence: "A name, type, tag or text of the length that every storage takes is cut or refused.",
	},
}

// keep appends, and holds what the log then has more to what was appended.
func (b *book) keep(a daybook.Append, what string) {
	b.s.Helper()
	end := b.end()
	receipt := b.appendAll(a)
	b.s.sameRecords(b.readLog(daybook.LogRead{After: end}), want(a, receipt), what)
}

// roundTrip appends the events to a stream and holds what comes back, by
// stream and by log, to them.
func (b *book) roundTrip(id daybook.StreamID, events ...daybook.Event) {
	b.s.Helper()
	end := b.end()
	a := together(daybook.Changeset{Stream: id, Events: events})
	receipt := b.appendAll(a)
	if len(receipt.Changesets) == 0 {
		b.s.Fatalf("the receipt of an append to %q tells of no changeset", id)
	}
	wanted := want(a, receipt)
	b.s.sameRecords(b.readStream(id, daybook.StreamRead{From: receipt.Changesets[0].First}), wanted, fmt.Sprintf("stream %q", id))
	b.s.sameRecords(b.readLog(daybook.LogRead{After: end}), wanted, "the log")
}

func checkData(s *subject) {
	b := s.book()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var all []daybook.Event
	for _, data := range [][]byte{
		nil, {}, {0}, {0, 0, 0}, every, {0xff, 0xfe, 0xfd}, {0xc3, 0x28}, {0xed, 0xa0, 0x80}, []byte("\xef\xbb\xbf{}"),
		[]byte("a\r\nb\nc\rd\te"), []byte("   "), []byte("\n"), []byte(`"`), []byte(`\`), []byte("'; --"), []byte("null"),
		[]byte(`{}`), []byte(` { "b" : 1 ,"a":2 } `), []byte("{\n\t\"a\": 1\n}\n"), []byte(`{"a":1,"a":2}`), []byte(`{"broken`),
		[]byte(`{"n":12345678901234567890123,"f":1.0,"e":1E400,"z":-0,"s":0.10000000000000000055}`),
		[]byte(`{"u":"\u00e9é\u0000","slash":"\/","html":"<>&","emoji":"😀","lone":"\ud83d"}`),
		[]byte("e\u0301 \u00e9 \u2028\u2029 \ufeff"), []byte(`[1,2,3]`), []byte(`"text"`), []byte(`12.50`), []byte(`true`),
	} {
		e := event("kept")
		e.Data = data
		other := event("kept")
		other.Data, other.ContentType = data, "application/octet-stream"
		all = append(all, e, other)
	}
	b.roundTrip(daybook.Stream("account-1"), all...)
	for i := range all[:8] {
		b.roundTrip(daybook.Stream("account-2"), all[i])
	}
}

func checkLargeData(s *subject) {
	b := s.book()
	size := min(1<<20, b.Limits().EventBytes, b.Limits().AppendBytes-1000)
	large := make([]byte, size)
	for i := range large {
		large[i] = byte(i * i >> 7)
	}
	binary, text := event("kept"), event("kept")
	binary.Data, binary.ContentType = large, "application/octet-stream"
	text.Data = []byte(`"` + strings.Repeat("é", int(size-2)/2) + `"`)
	b.roundTrip(daybook.Stream("account-1"), event("before"))
	b.roundTrip(daybook.Stream("account-1"), binary)
	b.roundTrip(daybook.Stream("account-1"), text)
	b.roundTrip(daybook.Stream("account-1"), event("after"))
}

func checkContentType(s *subject) {
	b := s.book()
	var all []daybook.Event
	for _, contentType := range []string{
		"application/json", "text/plain; charset=utf-8", "application/octet-stream", "application/vnd.Example+JSON;v=1", "x", "ünïcode/☃",
	} {
		e := event("kept")
		e.ContentType = contentType
		all = append(all, e)
	}
	b.roundTrip(daybook.Stream("account-1"), all...)
	b.append("account-2", daybook.ExpectAny(), daybook.Event{Type: "untold"})
	if stream := b.stream("account-2"); len(stream) != 1 || stream[0].ContentType != daybook.ContentTypeJSON {
		s.Errorf("an event without a content type came back as %+v, want one record with %q", stream, daybook.ContentTypeJSON)
	}
}

// lookalikes are texts that a storage might take for one another, or misread.
var lookalikes = []string{
	"a", "A", "a ", " a", "a\t", "a\n", "a\r\n", "ａ", "á", "a\u0301", "á\u0301", "ä", "a\u200b", "a\u00ad", "a\ufeff",
	"ss", "ß", "ẞ", "SS", "i", "I", "İ", "ı", "ﬁ", "fi", "\u00c5", "\u212b", "\u03a9", "\u2126", "σ", "ς",
	"/", "a/b", "a//b", "/a", "a/", ".", "..", "../a", "a\\b", "\\", "%", "%2F", "%2f", "%252F", "%00", "a%20b", "a b", "a+b",
	"?", "a?b", "#", "a#b", "&", "=", ";", ":", "*", "?*", "_", "[a]", "{a}", "$", "~", "^", "|", "<", ">", "\"", "'", "''", "`",
	"a'; --", "null", "NULL", "nul", "con", "0", "00", "1e1", "true", "😀", "👩‍👩‍👧", "日本語", "עברית", "\u202ea",
	"\uffff", "\U0010ffff", "\x01", "\x7f", "\u0085", "-", "--", "-a", "a-", "a-b-c", "Infinity",
}

func checkNames(s *subject) {
	b := s.book()
	ids := []daybook.StreamID{
		{Partition: "p", Name: "a/b"}, {Partition: "p/a", Name: "b"}, {Partition: "P", Name: "a/b"}, {Partition: "p ", Name: "a/b"},
		{Partition: "a", Name: "a"}, {Partition: "é", Name: "a"}, {Partition: "e\u0301", Name: "a"}, {Partition: "😀", Name: "a"},
		{Partition: "%", Name: "a"}, {Partition: "..", Name: "a"}, {Partition: "a b", Name: "a"},
	}
	for _, name := range lookalikes {
		ids = append(ids, daybook.Stream(name))
	}
	for i, id := range ids {
		e := event("opened")
		e.Data = fmt.Appendf(nil, "%d", i)
		if _, err := b.AppendAll(s.Context(), together(daybook.Changeset{Stream: id, Expect: daybook.ExpectNone(), Events: []daybook.Event{e}})); err != nil {
			s.Errorf("the first append to stream %q of partition %q: %v", id.Name, id.Partition, err)
		}
	}
	for i, id := range ids {
		stream := b.readStream(id, daybook.StreamRead{})
		if len(stream) != 1 || stream[0].Stream != id || !bytes.Equal(stream[0].Data, fmt.Appendf(nil, "%d", i)) {
			s.Errorf("stream %q of partition %q came back as %s, want its one record", id.Name, id.Partition, places(stream))
		}
	}
}

func checkTypesAndTags(s *subject) {
	b := s.book()
	for start := 0; start < len(lookalikes); start += 20 {
		var all []daybook.Event
		for _, text := range lookalikes[start:min(start+20, len(lookalikes))] {
			all = append(all, event(text, "tag:"+text, text))
		}
		b.roundTrip(daybook.Stream("account-1"), all...)
	}
	all := event("tagged", lookalikes[:90]...)
	b.roundTrip(daybook.Stream("account-2"), all)
	for _, text := range lookalikes {
		b.hold(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{text}}}}}, 1)
		b.hold(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"tag:" + text}}}}}, 1)
	}
}

func checkContext(s *subject) {
	b := s.book()
	full := event("kept")
	full.Context = daybook.Context{
		Who: "Ann O'Hara <ann@example.org>", Correlation: "order 17/☃", Source: "till \"4\"", Commentary: "line 1\nline 2\t😀", Schema: "v2",
		Metadata: []byte("{ \"n\": 12345678901234567890, \"x\": \"\\u0000\" }\n"),
		Why: &daybook.Cause{
			ID: "cmd-1", What: "Überweisung", Who: "Bob", When: time.Date(2020, 2, 29, 23, 59, 59, 123_456_000, time.UTC),
		},
	}
	all := []daybook.Event{full}
	for _, change := range []func(c *daybook.Context){
		func(c *daybook.Context) {},
		func(c *daybook.Context) { c.Who = "x" },
		func(c *daybook.Context) { c.Correlation = " x " },
		func(c *daybook.Context) { c.Source = "x" },
		func(c *daybook.Context) { c.Commentary = "x" },
		func(c *daybook.Context) { c.Schema = "x" },
		func(c *daybook.Context) { c.Metadata = []byte{0, 1, 0xff} },
		func(c *daybook.Context) { c.Why = &daybook.Cause{} },
		func(c *daybook.Context) { c.Why = &daybook.Cause{ID: "x"} },
		func(c *daybook.Context) { c.Why = &daybook.Cause{What: "x"} },
		func(c *daybook.Context) { c.Why = &daybook.Cause{Who: "x"} },
		func(c *daybook.Context) { c.Why = &daybook.Cause{When: time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)} },
	} {
		e := event("kept")
		change(&e.Context)
		all = append(all, e)
	}
	b.roundTrip(daybook.Stream("account-1"), all...)
	for _, e := range all {
		b.roundTrip(daybook.Stream("account-2"), e)
	}
}

func checkChangesetMetadata(s *subject) {
	b := s.book()
	for _, metadata := range [][]byte{
		nil, []byte(`{ "commit" : "1.0", "n": 12345678901234567890 }`), {0}, {0xff, 0, 0xfe}, []byte(" "), bytes.Repeat([]byte("m"), 10_000),
	} {
		b.keep(together(daybook.Changeset{Stream: daybook.Stream("account-1"), Events: several(2, "kept"), Metadata: metadata}), "the log")
	}
}

func checkOccurredAt(s *subject) {
	b := s.book()
	zone := time.FixedZone("somewhere", -5*3600)
	for _, c := range []struct{ given, kept time.Time }{
		{time.Date(2024, 5, 6, 7, 8, 9, 123_456_000, time.UTC), time.Date(2024, 5, 6, 7, 8, 9, 123_456_000, time.UTC)},
		{time.Date(2024, 5, 6, 7, 8, 9, 123_456_789, time.UTC), time.Date(2024, 5, 6, 7, 8, 9, 123_456_000, time.UTC)},
		{time.Date(2024, 5, 6, 7, 8, 9, 999_999_999, zone), time.Date(2024, 5, 6, 12, 8, 9, 999_999_000, time.UTC)},
		{time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		{time.Unix(0, 0), time.Unix(0, 0).UTC()},
		{time.Date(1582, 10, 4, 1, 2, 3, 0, time.UTC), time.Date(1582, 10, 4, 1, 2, 3, 0, time.UTC)},
		{time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)},
		{time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
	} {
		e := event("kept")
		e.OccurredAt = c.given
		receipt := b.append("account-1", daybook.ExpectAny(), e)
		e.OccurredAt = c.kept
		for _, r := range b.readStream(daybook.Stream("account-1"), daybook.StreamRead{From: receipt.Changesets[0].First}) {
			if d := eventDifference(r.Event, e); d != "" {
				s.Errorf("an event of %s: %s", c.given.Format(time.RFC3339Nano), d)
			}
		}
	}
}

func checkOccurredNever(s *subject) {
	b := s.book()
	receipt := b.append("account-1", daybook.ExpectAny(), event("untold"))
	stream := b.stream("account-1")
	if len(stream) != 1 || !stream[0].OccurredAt.Equal(receipt.RecordedAt) || !stream[0].RecordedAt.Equal(receipt.RecordedAt) {
		s.Fatalf("an event that tells no time, recorded at %v, came back as %+v", receipt.RecordedAt, stream)
	}
	if at := stream[0].RecordedAt; at.Location() != time.UTC || !at.Equal(at.Truncate(time.Microsecond)) {
		s.Errorf("the recorded time is %v, want UTC and whole microseconds", at)
	}
}

func checkTagOrder(s *subject) {
	b := s.book()
	b.roundTrip(daybook.Stream("account-1"), event("kept", "z", "a", "m"), event("kept", "a", "m", "z"), event("kept", "m"), event("kept"))
}

func checkLongest(s *subject) {
	b := s.book()
	// Names that differ in their last byte only, so that a cut is seen.
	fill := func(n int, last string) string {
		return strings.Repeat("é", (n-len(last))/2) + strings.Repeat("x", (n-len(last))%2) + last
	}
	var tags []string
	for i := range daybook.MaxTags {
		tags = append(tags, fill(daybook.MaxTagLen, fmt.Sprintf(":%d", i)))
	}
	for _, last := range []string{"1", "2"} {
		e := event(fill(daybook.MaxTypeLen, last), tags...)
		e.ContentType = fill(daybook.MaxTextLen, last)
		e.Context = daybook.Context{
			Who: fill(daybook.MaxTextLen, last), Correlation: fill(daybook.MaxTextLen, last), Source: fill(daybook.MaxTextLen, last),
			Commentary: fill(daybook.MaxTextLen, last), Schema: fill(daybook.MaxTextLen, last),
			Why: &daybook.Cause{ID: fill(daybook.MaxTextLen, last), What: fill(daybook.MaxTextLen, last), Who: fill(daybook.MaxTextLen, last)},
		}
		for _, partition := range []string{"", fill(daybook.MaxPartitionLen, last)} {
			b.roundTrip(daybook.StreamID{Partition: partition, Name: fill(daybook.MaxNameLen, last)}, e)
		}
	}
	b.hold(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{fill(daybook.MaxTypeLen, "2")}}}}}, 2)
	b.hold(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{fill(daybook.MaxTagLen, ":7")}}}}}, 4)
	b.hold(daybook.Filter{Partitions: []string{fill(daybook.MaxPartitionLen, "1")}}, 1)
	if !s.offered(Claims) {
		return
	}
	for i, last := range []string{"1", "2"} {
		a := single(numbered("claimer", i), daybook.ExpectAny(), event("took"))
		a.Changesets[0].Claims = []daybook.Claim{{Kind: fill(daybook.MaxTextLen, last), Value: fill(daybook.MaxTextLen, last)}}
		b.appendAll(a)
	}
}
