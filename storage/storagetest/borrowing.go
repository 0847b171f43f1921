package storagetest

import (
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
)

var borrowPromises = []Promise{
	{
		Name: "a borrowed record is good until the next step, its strings for ever", Feature: Reading, check: checkBorrowed,
		Sentence: "Who reads without keeping records gets wrong ones, or the names that it kept change afterwards.",
	},
}

// checkBorrowed reads with and without Borrow and compares: each record as it
// comes, and the strings once everything has been read.
func checkBorrowed(s *subject) {
	b := s.book()
	b.fillVaried()
	log, id := b.log(), daybook.Stream("account-0")
	stream := b.readStream(id, daybook.StreamRead{})
	tagged := daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"third"}}, {Types: []string{"kind-1"}}}}}
	for _, backwards := range []bool{false, true} {
		for _, filter := range []daybook.Filter{{}, tagged} {
			read := daybook.LogRead{Backwards: backwards, Filter: filter, Borrow: true}
			s.borrowed(b.ReadLog(s.Context(), read), wantLog(log, read), "borrowing the log "+describeLogRead(read))
		}
		read := daybook.StreamRead{Backwards: backwards, Borrow: true}
		s.borrowed(b.ReadStream(s.Context(), id, read), wantStream(stream, read), "borrowing the stream "+describeStreamRead(read))
	}
	s.sameRecords(b.log(), log, "the log, after others have borrowed it")
}

// fillVaried appends records of which no two are alike, and that use every part
// of a record.
func (b *book) fillVaried() {
	b.s.Helper()
	for i := range 40 {
		e := event(numbered("kind", i%5), numbered("only", i))
		if i%3 == 0 {
			e.Tags = append(e.Tags, "third")
		}
		e.Data = fmt.Appendf(nil, `{"n":%d}`, i)
		e.Context.Who, e.Context.Metadata = numbered("user", i), fmt.Appendf(nil, `{"m":%d}`, i)
		e.Context.Why = &daybook.Cause{ID: numbered("command", i), What: "asked"}
		c := daybook.Changeset{Stream: daybook.Stream(numbered("account", i%3)), Events: []daybook.Event{e}}
		c.Metadata = fmt.Appendf(nil, `{"changeset":%d}`, i)
		if i%4 == 0 {
			c.Events = append(c.Events, event("second", numbered("only", i)))
		}
		b.appendAll(together(c))
	}
}

// borrowed holds what a read lends to what it must give.
func (s *subject) borrowed(records iter.Seq2[daybook.Record, error], want []daybook.Record, what string) {
	s.Helper()
	var copies, texts []daybook.Record
	for r, err := range records {
		if err != nil {
			s.Fatalf("%s: %v", what, err)
		}
		copies = append(copies, r.Clone())
		texts = append(texts, onlyTexts(r))
	}
	s.sameRecords(copies, want, what)
	for i := range min(len(texts), len(want)) {
		if got, wanted := texts[i], onlyTexts(want[i]); recordDifference(got, wanted) != "" {
			s.Errorf("%s: the strings of record %d were right when it came, and are not any more: %s", what, i+1, recordDifference(got, wanted))
			return
		}
	}
}

// onlyTexts returns a record that holds the strings of r and nothing else that
// r points to.
func onlyTexts(r daybook.Record) daybook.Record {
	texts := r
	texts.Data, texts.Context.Metadata = nil, nil
	texts.Tags = append([]string(nil), r.Tags...)
	if r.Context.Why != nil {
		why := *r.Context.Why
		texts.Context.Why = &why
	}
	texts.Changeset = &daybook.ChangesetHeader{}
	return texts
}
