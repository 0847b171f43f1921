package storagetest

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var appendPromises = []Promise{
	{
		Name: "the records of a stream have versions from 1 up by one", Feature: Appending, check: checkVersions,
		Sentence: "A version does not say how many records a stream has, so every Expect that names one is off.",
	},
	{
		Name: "positions rise with every record", Feature: Appending, check: checkPositions,
		Sentence: "Positions do not order the log, so a reader that keeps its place skips records or reads them twice.",
	},
	{
		Name: "a receipt says exactly where the records went", Feature: Appending, check: checkReceipt,
		Sentence: "Whoever goes by the receipt looks for his records where they are not.",
	},
	{
		Name: "every record carries the header of its changeset", Feature: Appending, check: checkHeader,
		Sentence: "What was appended together can no longer be told from what was not.",
	},
	{
		Name: "what was appended can be read at once", Feature: Appending, check: checkReadOwn,
		Sentence: "An append returns before its records can be read, so a program does not find what it has just written.",
	},
	{
		Name: "a stored record never changes", Feature: Appending, check: checkUnchanging,
		Sentence: "A later append has changed an earlier record, so the log is no account of what happened.",
	},
	{
		Name: "a refused append leaves no trace", Feature: Appending, check: checkNoTrace,
		Sentence: "Something of an append that was refused has been stored, or its id has been used up.",
	},
	{
		Name: "the caller's memory is neither kept nor changed", Feature: Appending, check: checkMemory,
		Sentence: "A caller that uses a slice again changes what is stored, or finds it changed by the driver.",
	},
	{
		Name: "a durability is reached or refused", Feature: Appending, check: checkDurability,
		Sentence: "An append that asked for more is acknowledged with less, or the receipt does not say how durable it is.",
	},
	{
		Name: "what is not offered is refused by name, and nothing stored", Feature: Appending, check: checkRefusal,
		Sentence: "A caller cannot learn what the storage lacks, or finds that half of what it asked for was stored.",
	},
}

func checkVersions(s *subject) {
	b := s.book()
	b.append("account-1", daybook.ExpectNone(), events("opened", "deposited", "deposited")...)
	b.append("account-2", daybook.ExpectNone(), events("opened")...)
	b.append("account-1", daybook.ExpectVersion(3), events("withdrawn", "closed")...)
	for stream, count := range map[string]int{"account-1": 5, "account-2": 1} {
		records := b.stream(stream)
		if len(records) != count {
			s.Fatalf("%s has %d records, %d were appended", stream, len(records), count)
		}
		for i, r := range records {
			if r.Version != daybook.Version(i+1) {
				s.Errorf("record %d of %s has version %d", i+1, stream, r.Version)
			}
		}
	}
}

func checkPositions(s *subject) {
	b := s.book()
	for i := range 6 {
		b.append(numbered("account", i%3), daybook.ExpectAny(), several(1+i%2, "deposited")...)
	}
	var last daybook.Position
	log := b.log()
	for _, r := range log {
		if r.Position <= last {
			s.Errorf("%s stands behind position %d", place(r), last)
		}
		last = r.Position
	}
	if len(log) != 9 {
		s.Errorf("the log has %d records, 9 were appended", len(log))
	}
}

func checkReceipt(s *subject) {
	b := s.book()
	var wanted []daybook.Record
	counted := false
	for i := range 5 {
		a := single(numbered("account", i%2), daybook.ExpectAny(), several(1+i, "deposited")...)
		receipt := b.appendAll(a)
		checkReceiptAlone(s, a, receipt)
		if len(receipt.Changesets) != 1 {
			s.Fatalf("the receipt of one changeset tells of %d", len(receipt.Changesets))
		}
		c := receipt.Changesets[0]
		if c.Number != daybook.ChangesetNumber(1+i/2) {
			s.Errorf("append %d is changeset %d of its stream, want %d", i+1, c.Number, 1+i/2)
		}
		counted = counted || c.Ordinal != 0
		if counted && c.Ordinal != daybook.Ordinal(i+1) {
			s.Errorf("append %d has ordinal %d: where ordinals are counted, they rise by one from 1", i+1, c.Ordinal)
		}
		wanted = append(wanted, want(a, receipt)...)
	}
	s.sameRecords(b.log(), wanted, "the log, compared with the receipts,")
}

// checkReceiptAlone holds a receipt of a first append to what can be said
// without looking at the log.
func checkReceiptAlone(s *subject, a daybook.Append, receipt daybook.Receipt) {
	s.Helper()
	if receipt.AppendID != a.ID || receipt.Repeated || receipt.RecordedAt.IsZero() {
		s.Errorf("the receipt has append id %s, repeated %t, recorded time %v; the append id is %s, and it was the first",
			receipt.AppendID, receipt.Repeated, receipt.RecordedAt, a.ID)
	}
	if !receipt.Fits(&a) {
		s.Errorf("the receipt %+v does not fit the append to %s", receipt.Changesets, streamsOf(a))
	}
	var last daybook.Position
	for i, c := range receipt.Changesets {
		if c.FirstPosition <= last || c.LastPosition-c.FirstPosition < daybook.Position(c.Last-c.First) {
			s.Errorf("changeset %d of the receipt stands at positions %d to %d, behind %d: they must rise, in the order of the append",
				i+1, c.FirstPosition, c.LastPosition, last)
		}
		last = c.LastPosition
	}
	if receipt.Position() != last {
		s.Errorf("the position of the receipt is %d, its last record stands at %d", receipt.Position(), last)
	}
}

func checkHeader(s *subject) {
	b := s.book()
	first := single("account-1", daybook.ExpectAny(), several(3, "opened")...)
	first.Changesets[0].Metadata = []byte(`{"by": "Ann"}`)
	if s.offered(Claims) {
		first.Changesets[0].Claims = []daybook.Claim{{Kind: "iban", Value: "NL1"}, {Kind: "email", Value: "ann@example.org"}}
		first.Changesets[0].Releases = []daybook.Claim{{Kind: "email", Value: "old@example.org"}}
	}
	second := single("account-1", daybook.ExpectAny(), several(2, "deposited")...)
	if s.offered(References) {
		second.Changesets[0].References = []daybook.StreamID{daybook.Stream("account-1")}
	}
	wanted := want(first, b.appendAll(first))
	wanted = append(wanted, want(second, b.appendAll(second))...)
	s.sameRecords(b.stream("account-1"), wanted, "the stream")
	s.sameRecords(b.log(), wanted, "the log")
	part := b.readStream(daybook.Stream("account-1"), daybook.StreamRead{From: 2, To: 4})
	s.sameRecords(part, wanted[1:4], "a read that cuts two changesets")
}

func checkReadOwn(s *subject) {
	b := s.book()
	group, ctx := errgroup.WithContext(s.Context())
	for writer := range 4 {
		group.Go(func() error {
			stream := daybook.Stream(numbered("writer", writer))
			for i := range 15 {
				receipt, err := b.Append(ctx, stream, daybook.ExpectAny(), several(2, "written")...)
				if err != nil {
					return err
				}
				c := receipt.Changesets[0]
				own, err := gather(b.ReadLog(ctx, daybook.LogRead{After: c.FirstPosition - 1, To: c.LastPosition}))
				if err != nil || len(own) != 2 {
					return fmt.Errorf("append %d to %s went to positions %d to %d; a read of them at once gave %d records, error %v", i, stream, c.FirstPosition, c.LastPosition, len(own), err)
				}
				own, err = gather(b.ReadStream(ctx, stream, daybook.StreamRead{From: c.First}))
				if err != nil || len(own) != 2 {
					return fmt.Errorf("append %d to %s went to versions %d to %d; a read of them at once gave %d records, error %v", i, stream, c.First, c.Last, len(own), err)
				}
			}
			return nil
		})
	}
	s.must(group.Wait(), "4 writers that read what they wrote")
}

func checkUnchanging(s *subject) {
	b := s.book()
	var before []daybook.Record
	for i := range 12 {
		b.append(numbered("account", i%3), daybook.ExpectAny(), several(2, numbered("kind", i), numbered("tag", i))...)
		after := b.log()
		if len(after) != len(before)+2 {
			s.Fatalf("the log grew from %d to %d records by an append of 2", len(before), len(after))
		}
		if !s.sameRecords(after[:len(before)], before, "what was stored before the last append") {
			return
		}
		before = after
	}
}

func checkNoTrace(s *subject) {
	b := s.book()
	b.append("account-1", daybook.ExpectNone(), events("opened")...)
	before := b.trace(daybook.Stream("account-2"))
	for _, refused := range []daybook.Append{
		single("account-1", daybook.ExpectNone(), events("opened")...),
		single("account-1", daybook.ExpectVersion(7), events("opened", "deposited")...),
		single("account-2", daybook.ExpectExists(), events("deposited")...),
	} {
		_, err := b.AppendAll(s.Context(), refused)
		if !errors.Is(err, daybook.ErrConflict) || !errors.Is(err, daybook.ErrRefused) {
			s.Fatalf("the append to %s that expects %s was answered with %v, want a conflict", streamsOf(refused), refused.Changesets[0].Expect, err)
		}
		b.untouched(before, "a refused append")
	}
	refused := single("account-2", daybook.ExpectExists(), events("deposited")...)
	if _, err := b.AppendAll(s.Context(), refused); err == nil {
		s.Fatalf("an append to a stream without records that expects it to exist was stored")
	}
	again := single("account-3", daybook.ExpectNone(), events("opened", "deposited")...)
	again.ID = refused.ID
	if receipt := b.appendAll(again); receipt.Repeated {
		s.Errorf("the id of a refused append counts as used: the first append stored with it is called a repeat")
	}
}

func checkMemory(s *subject) {
	b := s.book()
	build := func() daybook.Append {
		e := daybook.Event{
			ID: daybook.ID{1}, Type: "opened", ContentType: daybook.ContentTypeJSON,
			Data: []byte(`{"owner":"Ann"}`), Tags: []string{"one", "two"},
		}
		e.Context.Metadata = []byte(`{"a":1}`)
		e.Context.Why = &daybook.Cause{ID: "cause", Who: "Bob"}
		a := single("account-1", daybook.ExpectAny(), e)
		a.ID = daybook.ID{2}
		a.Changesets[0].Metadata = []byte(`{"b":2}`)
		if s.offered(Claims) {
			a.Changesets[0].Claims = []daybook.Claim{{Kind: "iban", Value: "NL1"}}
			a.Changesets[0].Releases = []daybook.Claim{{Kind: "iban", Value: "NL2"}}
		}
		if s.offered(References) {
			a.Changesets[0].References = []daybook.StreamID{daybook.Stream("account-1")}
		}
		return a
	}
	a := build()
	receipt, err := b.driver.Append(s.Context(), a)
	s.must(err, "append")
	wanted := want(build(), receipt)
	s.sameRecords(want(a, receipt), wanted, "the append that the driver was given")
	overwrite(&a)
	receipt.Changesets[0] = daybook.ChangesetReceipt{}
	s.sameRecords(b.log(), wanted, "the log after the caller has used its memory again")
	repeated, err := b.driver.Append(s.Context(), build())
	s.must(err, "the repeated append")
	if len(repeated.Changesets) != 1 || repeated.Changesets[0].First != 1 {
		s.Errorf("after the caller has written into the receipt, a repeat is answered with %+v", repeated.Changesets)
	}
}

// overwrite writes into all memory that hangs on an append.
func overwrite(a *daybook.Append) {
	c := &a.Changesets[0]
	e := &c.Events[0]
	for _, b := range [][]byte{e.Data, e.Context.Metadata, c.Metadata} {
		for i := range b {
			b[i] = 'x'
		}
	}
	e.Tags[0] = "overwritten"
	*e.Context.Why = daybook.Cause{ID: "overwritten"}
	e.Type = "overwritten"
	for i := range c.Claims {
		c.Claims[i], c.Releases[i] = daybook.Claim{Kind: "over", Value: "written"}, daybook.Claim{Kind: "over", Value: "written"}
	}
	for i := range c.References {
		c.References[i] = daybook.Stream("overwritten-1")
	}
	*c = daybook.Changeset{Stream: daybook.Stream("overwritten-1")}
}

func checkDurability(s *subject) {
	b := s.book()
	for level := daybook.DurabilityDefault; level <= daybook.DurabilityCloud; level++ {
		before := b.trace(daybook.Stream("account-1"))
		a := single("account-1", daybook.ExpectAny(), events("deposited")...)
		a.Durability = level
		receipt, err := b.AppendAll(s.Context(), a)
		switch {
		case errors.Is(err, daybook.ErrUnsupported) && level != daybook.DurabilityDefault:
			s.must(refusal(err), "durability %s", level)
			b.untouched(before, "the refusal of durability "+level.String())
		case err != nil:
			s.Errorf("an append with durability %s: %v", level, err)
		case receipt.Durability < level || receipt.Durability == daybook.DurabilityDefault:
			s.Errorf("an append with durability %s was answered with durability %s", level, receipt.Durability)
		}
	}
}

func checkRefusal(s *subject) {
	for feature, try := range trials() {
		b := s.book()
		err := try(s.Context(), b)
		if errors.Is(err, daybook.ErrUnsupported) {
			s.must(refusal(err), "%s", feature)
			if left := b.log(); len(left) > 0 {
				s.Errorf("%s was refused as not offered, but %d records were stored", feature, len(left))
			}
		}
		b.close()
	}
}
