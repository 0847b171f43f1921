package verify_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/verify"
)

func check(t *testing.T, driver daybook.Driver, options *verify.Options) verify.Report {
	t.Helper()
	report, err := verify.Store(t.Context(), daybook.New(driver, nil), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func kinds(report verify.Report) []verify.Kind {
	var kinds []verify.Kind
	for _, finding := range report.Findings {
		kinds = append(kinds, finding.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func TestSoundStoreHasNoFindings(t *testing.T) {
	for _, maxIDs := range []int{0, 1, 2} { // small sets make many passes
		report := check(t, filled(t), &verify.Options{MaxIDs: maxIDs})
		if !report.OK() || len(report.Skipped) > 0 {
			t.Fatalf("max ids %d: findings %v, skipped %v", maxIDs, report.Findings, report.Skipped)
		}
		got := fmt.Sprint(report.Streams, report.Changesets, report.Records, report.Claims, report.End)
		if want := "3 6 9 1 9"; got != want {
			t.Errorf("streams, changesets, records, claims, end = %s, want %s", got, want)
		}
	}
}

func TestEmptyStoreHasNoFindings(t *testing.T) {
	report := check(t, memory.New(nil), nil)
	if !report.OK() || report.Records != 0 || len(report.Skipped) > 0 {
		t.Fatalf("%+v", report)
	}
}

// at changes the record at a position of the told log.
func at(position int, change func(r *daybook.Record)) func([]daybook.Record) []daybook.Record {
	return func(records []daybook.Record) []daybook.Record {
		change(&records[position-1])
		return records
	}
}

// own gives a record a header of its own, to be changed for it alone.
func own(r *daybook.Record) *daybook.ChangesetHeader {
	header := *r.Changeset
	r.Changeset = &header
	return r.Changeset
}

func without(positions ...int) func([]daybook.Record) []daybook.Record {
	return func(records []daybook.Record) []daybook.Record {
		return slices.DeleteFunc(records, func(r daybook.Record) bool { return slices.Contains(positions, int(r.Position)) })
	}
}

type kindList = []verify.Kind

// brokenPromises are stores that each lie in one way, and what is found then.
var brokenPromises = map[string]struct {
	driver tampered
	want   kindList
}{
	"a record without an id": {
		tampered{log: at(3, func(r *daybook.Record) { r.ID = daybook.ID{} })}, kindList{verify.Malformed}},
	"a record without a type": {
		tampered{log: at(3, func(r *daybook.Record) { r.Type = "" })}, kindList{verify.Malformed}},
	"a record without a content type": {
		tampered{log: at(3, func(r *daybook.Record) { r.ContentType = "" })}, kindList{verify.Malformed}},
	"a record with a time finer than microseconds": {
		tampered{log: at(3, func(r *daybook.Record) { r.OccurredAt = r.OccurredAt.Add(1) })}, kindList{verify.Malformed}},
	"a record without a changeset": {
		tampered{log: at(9, func(r *daybook.Record) { r.Changeset = nil })},
		kindList{verify.HeadDiffers, verify.Malformed, verify.StatsDiffer, verify.ListDiffers, verify.Backwards}},
	"a position that falls": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[6].Position, r[7].Position = r[7].Position, r[6].Position
			return r
		}}, kindList{verify.PositionOrder, verify.Backwards, verify.HeadDiffers, verify.ListDiffers}},
	"a recorded time that falls": {
		tampered{log: at(9, func(r *daybook.Record) { r.RecordedAt = r.RecordedAt.Add(-time.Hour) })},
		kindList{verify.TimeOrder, verify.HeadDiffers, verify.ListDiffers}},
	"recorded times that differ in a changeset": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[7].RecordedAt, r[8].RecordedAt = r[7].RecordedAt.Add(time.Hour), r[8].RecordedAt.Add(time.Hour)
			return r
		}}, kindList{verify.ChangesetHeader, verify.HeadDiffers, verify.ListDiffers}},
	"a version that is missing": {
		tampered{log: without(2)}, kindList{verify.VersionGap, verify.ChangesetCut, verify.StatsDiffer}},
	"a changeset that is missing": {
		tampered{log: without(4)},
		kindList{verify.VersionGap, verify.ChangesetGap, verify.OrdinalGap, verify.StatsDiffer, verify.ClaimTwice}},
	"a stream that is missing": {
		tampered{log: without(6, 7, 8)}, kindList{verify.OrdinalGap, verify.StatsDiffer, verify.ListDiffers}},
	"an ordinal that stands twice": {
		tampered{log: at(9, func(r *daybook.Record) { own(r).Ordinal-- })}, kindList{verify.OrdinalGap, verify.StatsDiffer}},
	"a changeset that does not begin where it says": {
		tampered{log: func(r []daybook.Record) []daybook.Record { r[5].Changeset.First++; return r }}, kindList{verify.ChangesetHeader}},
	"a changeset that does not hold as much as it says": {
		tampered{log: func(r []daybook.Record) []daybook.Record { r[5].Changeset.Count++; return r }}, kindList{verify.ChangesetCut}},
	"records that do not agree about their changeset": {
		tampered{log: at(7, func(r *daybook.Record) { own(r).Metadata = []byte("other") })}, kindList{verify.ChangesetHeader}},
	"a changeset that does not stand together": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[7], r[8] = r[8], r[7]
			r[7].Position, r[8].Position = 8, 9
			return r
		}}, kindList{verify.ChangesetCut, verify.ChangesetHeader, verify.ChangesetGap, verify.OrdinalGap,
			verify.AppendIDReused, verify.StatsDiffer, verify.HeadDiffers, verify.ListDiffers, verify.TimeOrder}},
	"an event id that stands twice in a changeset": {
		tampered{log: func(r []daybook.Record) []daybook.Record { r[1].ID = r[0].ID; return r }}, kindList{verify.DuplicateID}},
	"an append id that names two appends": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[8].Changeset.AppendID = r[0].Changeset.AppendID
			return r
		}}, kindList{verify.AppendIDReused}},
	"an append with two changesets on one stream": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[2].Changeset.AppendID = r[4].Changeset.AppendID
			r[3].Changeset.AppendID = r[4].Changeset.AppendID
			return r
		}}, kindList{verify.AppendIDReused}},
	"a reference to what does not exist": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[5].Changeset.References = []daybook.StreamID{{Name: "account-3"}}
			return r
		}}, kindList{verify.ReferenceGone}},
	"a claim that two streams hold": {
		tampered{log: func(r []daybook.Record) []daybook.Record { r[3].Changeset.Releases = nil; return r }}, kindList{verify.ClaimTwice}},
	"a claim released by another": {
		tampered{log: func(r []daybook.Record) []daybook.Record {
			r[2].Changeset.Releases = r[0].Changeset.Claims
			return r
		}}, kindList{verify.ClaimTwice}},
	"a claim said to be held by another": {
		tampered{holder: func(daybook.Claim, daybook.StreamID) daybook.StreamID { return daybook.Stream("account-1") }}, kindList{verify.ClaimTwice}},
	"a log that reads differently backwards": {
		tampered{backwards: without(3)}, kindList{verify.Backwards}},
	"a log that reads forwards when asked backwards": {
		tampered{backwards: func(r []daybook.Record) []daybook.Record { slices.Reverse(r); return r }}, kindList{verify.Backwards}},
	"a stream that reads differently alone": {
		tampered{stream: func(r []daybook.Record) []daybook.Record { r[0].Data = []byte("other"); return r }}, kindList{verify.StreamDiffers}},
	"a stream that lacks a record alone": {
		tampered{stream: func(r []daybook.Record) []daybook.Record { return r[1:] }}, kindList{verify.StreamDiffers}},
	"a stream read out of order": {
		tampered{stream: func(r []daybook.Record) []daybook.Record { slices.Reverse(r); return r }}, kindList{verify.StreamDiffers}},
	"a head that is too low": {
		tampered{head: func(_ daybook.StreamID, h daybook.Head) daybook.Head { h.Version--; return h }}, kindList{verify.HeadDiffers}},
	"a head that is too high": {
		tampered{head: func(_ daybook.StreamID, h daybook.Head) daybook.Head { h.Changeset++; return h }}, kindList{verify.HeadDiffers}},
	"an end that is too low": {
		tampered{end: func(daybook.Position) daybook.Position { return 5 }}, kindList{verify.StatsDiffer}},
	"an end that is too high": {
		tampered{end: func(end daybook.Position) daybook.Position { return end + 1 }}, kindList{verify.EndDiffers}},
	"an end of nothing": {
		tampered{end: func(daybook.Position) daybook.Position { return 0 }}, kindList{verify.EndDiffers, verify.StatsDiffer}},
	"a list that lacks a stream": {
		tampered{list: func(h []daybook.StreamHead) []daybook.StreamHead { return h[1:] }}, kindList{verify.ListDiffers}},
	"a list out of order": {
		tampered{list: func(h []daybook.StreamHead) []daybook.StreamHead { slices.Reverse(h); return h }}, kindList{verify.ListDiffers}},
	"a list with a stream that is not there": {
		tampered{list: func(h []daybook.StreamHead) []daybook.StreamHead {
			return append(h, daybook.StreamHead{Stream: daybook.Stream("zebra"), Head: daybook.Head{Version: 1, Position: 3}})
		}}, kindList{verify.ListDiffers}},
	"statistics that miscount": {
		tampered{stats: func(s *daybook.Stats) { s.Records++ }}, kindList{verify.StatsDiffer}},
	"damaged bytes": {
		tampered{fails: &daybook.CorruptError{File: "1.log", Offset: 7, Position: 4, Reason: "checksum"}}, kindList{verify.Damaged}},
}

func TestEveryBrokenPromiseIsFound(t *testing.T) {
	for name, c := range brokenPromises {
		t.Run(name, func(t *testing.T) {
			c.driver.Driver = filled(t)
			report := check(t, &c.driver, &verify.Options{MaxIDs: 2})
			slices.Sort(c.want)
			if got := kinds(report); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v:\n%v", got, c.want, report.Findings)
			}
		})
	}
}

func TestFindingsBeyondTheMaximumAreCounted(t *testing.T) {
	driver := &tampered{Driver: filled(t), log: func(r []daybook.Record) []daybook.Record {
		for i := range r {
			r[i].Type = ""
		}
		return r
	}}
	report := check(t, driver, &verify.Options{MaxFindings: 2})
	if report.Found != 9 || len(report.Findings) != 2 {
		t.Errorf("found %d, kept %d; want 9 and 2", report.Found, len(report.Findings))
	}
}

func TestFindingSaysWhatAndWhere(t *testing.T) {
	driver := &tampered{Driver: filled(t), log: at(3, func(r *daybook.Record) { r.Type = "" })}
	report := check(t, driver, nil)
	want := `malformed at position 3 in stream "account-2": the event has no type`
	if got := report.Findings[0].String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// bare offers nothing but what every driver must.
type bare struct{ driver daybook.Driver }

func (b bare) Name() string { return "bare" }
func (b bare) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	return b.driver.Append(ctx, a)
}
func (b bare) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return b.driver.ReadStream(ctx, id, read)
}
func (b bare) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return b.driver.ReadLog(ctx, read)
}
func (b bare) Close() error { return b.driver.Close() }

func TestWhatADriverDoesNotOfferIsSkippedAndNamed(t *testing.T) {
	report := check(t, bare{filled(t)}, nil)
	if !report.OK() {
		t.Errorf("findings %v", report.Findings)
	}
	for _, feature := range []string{"listing streams", "looking up claims", "statistics"} {
		if !strings.Contains(strings.Join(report.Skipped, "\n"), feature) {
			t.Errorf("skipped %q does not name %s", report.Skipped, feature)
		}
	}
}

func TestLogWithoutItsBeginningIsSound(t *testing.T) {
	whole := daybook.New(filled(t), nil)
	var later []daybook.RecordedChangeset
	for changeset, err := range daybook.Changesets(whole.ReadLog(t.Context(), daybook.LogRead{After: 3})) {
		if err != nil {
			t.Fatal(err)
		}
		later = append(later, changeset)
	}
	part := memory.New(nil)
	if err := daybook.New(part, nil).Import(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	report := check(t, part, nil)
	if !report.OK() || len(report.Skipped) != 1 || !strings.Contains(report.Skipped[0], "references") {
		t.Errorf("findings %v, skipped %v", report.Findings, report.Skipped)
	}
}

func TestStoreThatGrowsIsSound(t *testing.T) {
	driver := filled(t)
	store := daybook.New(driver, nil)
	email := []daybook.Claim{{Kind: "email", Value: "ann@example.org"}}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for writer := range 2 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil && n < 2000; n++ {
				// The claim wanders while the holders are compared.
				change := daybook.Changeset{Stream: daybook.Stream("account-2"), Events: []daybook.Event{event("touched")}}
				if writer == 0 {
					change.Claims, change.Releases = email, email
				} else {
					change.Stream = daybook.Stream(fmt.Sprint("visit-", n))
				}
				if _, err := store.AppendAll(ctx, daybook.Append{Changesets: []daybook.Changeset{change}}); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5 {
		if report := check(t, driver, nil); !report.OK() {
			t.Errorf("findings %v", report.Findings)
		}
	}
	stop()
	writers.Wait()
}

func TestProgressReachesTheEnd(t *testing.T) {
	last := map[string]verify.Progress{}
	check(t, filled(t), &verify.Options{Progress: func(p verify.Progress) { last[p.Step] = p }})
	for _, step := range []string{"log", "log backwards", "streams", "claims"} {
		if p := last[step]; p.Done == 0 || p.Done != p.Total {
			t.Errorf("step %s ended at %d of %d", step, p.Done, p.Total)
		}
	}
}

func TestStorageThatFailsEndsTheVerification(t *testing.T) {
	broken := errors.New("broken pipe")
	driver := &tampered{Driver: filled(t), fails: broken}
	if _, err := verify.Store(t.Context(), daybook.New(driver, nil), nil); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Store(ctx, daybook.New(filled(t), nil), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
