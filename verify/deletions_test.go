package verify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/verify"
)

// thinned returns a filled driver from which something was deleted: of each
// stream through a version, "account-1 3".
func thinned(t *testing.T, deletions ...string) *memory.Driver {
	t.Helper()
	driver := filled(t)
	store := daybook.New(driver, nil)
	for _, text := range deletions {
		var name string
		var through daybook.Version
		if _, err := fmt.Sscan(text, &name, &through); err != nil {
			t.Fatal(err)
		}
		if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream(name), Through: through}); err != nil {
			t.Fatal(err)
		}
	}
	return driver
}

func TestStoreFromWhichWasDeletedIsSound(t *testing.T) {
	for _, deletions := range [][]string{
		{"account-1 2"}, // the first, which took the e-mail
		{"account-1 4"}, // the last record of the log is gone
		{"account-2 1"}, {"account-2 2"}, {"transfer-1 3"}, {"transfer-1 1"}, {"nobody-1 0"},
		{"account-1 2", "account-1 3"}, {"account-1 0", "transfer-1 0"}, {"account-1 0", "account-2 0", "transfer-1 0"},
	} {
		driver := thinned(t, deletions...)
		report := check(t, driver, nil)
		if !report.OK() || len(report.Skipped) > 0 || report.Deletions != int64(len(deletions)) || report.End != 9 {
			t.Errorf("%v: findings %v, skipped %v, %d deletions, end %d", deletions, report.Findings, report.Skipped, report.Deletions, report.End)
		}
		store := daybook.New(driver, nil)
		for _, name := range []string{"account-1", "account-2"} { // they go on, and refer to what is there
			change := daybook.Changeset{Stream: daybook.Stream(name), Events: []daybook.Event{event("more")}, References: []daybook.StreamID{daybook.Stream(name)}}
			if _, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{change}}); err != nil {
				t.Fatal(err)
			}
		}
		if report := check(t, driver, nil); !report.OK() || len(report.Skipped) > 0 {
			t.Errorf("%v, and more appended: findings %v, skipped %v", deletions, report.Findings, report.Skipped)
		}
	}
}

func TestClaimThatWasTakenInADeletedChangesetIsHeld(t *testing.T) {
	driver := filled(t)
	store := daybook.New(driver, nil)
	two := daybook.Stream("account-2")
	if _, err := store.Append(t.Context(), two, daybook.ExpectVersion(2), event("more")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: two, Through: 2}); err != nil {
		t.Fatal(err)
	}
	if report := check(t, driver, nil); !report.OK() {
		t.Errorf("findings %v", report.Findings)
	}
	lying := &tampered{Driver: driver, holder: func(daybook.Claim, daybook.StreamID) daybook.StreamID { return daybook.Stream("transfer-1") }}
	if got := kinds(check(t, lying, nil)); !slices.Equal(got, kindList{verify.ClaimTwice}) {
		t.Errorf("a claim that is held by a stream that cannot have taken it: found %v", got)
	}
}

func TestEveryBrokenPromiseOfADeletionIsFound(t *testing.T) {
	whole := daybook.New(filled(t), nil)
	var log []daybook.Record
	for record, err := range whole.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, record)
	}
	for name, c := range map[string]struct {
		deletions []string
		driver    tampered
		want      verify.Kind
	}{
		"a deleted record that can be read": {[]string{"account-2 1"}, tampered{log: func(r []daybook.Record) []daybook.Record {
			return slices.Insert(r, 2, log[2])
		}}, verify.Deletions},
		"a deleted stream that can be read alone": {[]string{"account-2 0"}, tampered{stream: func(r []daybook.Record) []daybook.Record {
			if len(r) == 0 {
				r = log[2:3]
			}
			return r
		}}, verify.Deletions},
		"a deleted stream whose head is forgotten": {[]string{"account-2 0"}, tampered{head: func(id daybook.StreamID, h daybook.Head) daybook.Head {
			if !h.Exists() {
				h = daybook.Head{}
			}
			return h
		}}, verify.HeadDiffers},
		"a deleted stream that is listed": {[]string{"account-2 0"}, tampered{list: func(h []daybook.StreamHead) []daybook.StreamHead {
			return slices.Insert(h, 1, daybook.StreamHead{Stream: daybook.Stream("account-2"), Head: daybook.Head{Version: 2, Changeset: 2, First: 3, Position: 5}})
		}}, verify.ListDiffers},
		"a deleted stream that is counted": {[]string{"account-2 0"}, tampered{stats: func(s *daybook.Stats) { s.Streams++ }}, verify.StatsDiffer},
		"more that is gone than was deleted": {[]string{"account-2 1"}, tampered{log: func(r []daybook.Record) []daybook.Record {
			return slices.DeleteFunc(r, func(r daybook.Record) bool { return r.Stream.Name == "transfer-1" })
		}}, verify.OrdinalGap},
		"a stream that begins behind what was deleted": {[]string{"account-1 2"}, tampered{log: func(r []daybook.Record) []daybook.Record {
			return slices.DeleteFunc(r, func(r daybook.Record) bool { return r.Stream.Name == "account-1" && r.Version == 3 })
		}}, verify.VersionGap},
		"an end that fell":     {[]string{"account-1 4"}, tampered{end: func(daybook.Position) daybook.Position { return 8 }}, verify.StatsDiffer},
		"an end nobody stands": {[]string{"account-2 2"}, tampered{end: func(end daybook.Position) daybook.Position { return end + 1 }}, verify.EndDiffers},
		"a deletion that is missing": {[]string{"account-1 2", "account-1 3"}, tampered{deletions: func(d []daybook.RecordedDeletion) {
			d[0].Receipt.Number = 7
		}}, verify.Deletions},
		"deletions that go back": {[]string{"account-1 3", "account-1 3"}, tampered{deletions: func(d []daybook.RecordedDeletion) {
			d[len(d)-1].Receipt.Through = 2
		}}, verify.Deletions},
		"a deletion before its time": {[]string{"account-1 2", "account-1 3"}, tampered{deletions: func(d []daybook.RecordedDeletion) {
			d[len(d)-1].Receipt.RecordedAt = d[0].Receipt.RecordedAt.Add(-time.Hour)
		}}, verify.Deletions},
	} {
		t.Run(name, func(t *testing.T) {
			c.driver.Driver = thinned(t, c.deletions...)
			report := check(t, &c.driver, nil)
			if got := kinds(report); !slices.Contains(got, c.want) {
				t.Errorf("found %v, want %v among them:\n%v", got, c.want, report.Findings)
			}
		})
	}
}

func TestStoreInWhichIsDeletedMeanwhileIsSound(t *testing.T) {
	driver := filled(t)
	store := daybook.New(driver, nil)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	writers.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			id := daybook.Stream(fmt.Sprint("visit-", n%5))
			change := daybook.Changeset{Stream: id, Events: []daybook.Event{event("came"), event("left")}, References: []daybook.StreamID{id}}
			_, err := store.AppendAll(ctx, daybook.Append{Changesets: []daybook.Changeset{change}})
			if err == nil && n%3 == 0 {
				_, err = store.DeleteStream(ctx, daybook.Deletion{Stream: id, Through: daybook.Version(n % 7)})
			}
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	for range 5 {
		if report := check(t, driver, nil); !report.OK() {
			t.Errorf("findings %v", report.Findings)
		}
	}
	stop()
	writers.Wait()
	if report := check(t, driver, nil); !report.OK() || len(report.Skipped) > 0 {
		t.Errorf("at rest: findings %v, skipped %v", report.Findings, report.Skipped)
	}
}

// Damage is no matter of deletions: it is found also where the rest cannot be
// compared.
func TestDamageIsFoundWhileIsDeleted(t *testing.T) {
	driver := filled(t)
	store := daybook.New(driver, nil)
	reads := 0
	lying := &tampered{Driver: driver, log: func(r []daybook.Record) []daybook.Record {
		reads++
		if _, err := store.DeleteStream(context.Background(), daybook.Deletion{Stream: daybook.Stream("nobody-1")}); err != nil {
			t.Error(err)
		}
		r[2].Type = ""
		return r
	}, end: func(end daybook.Position) daybook.Position { return end + daybook.Position(reads%2) }}
	report := check(t, lying, nil)
	if got := kinds(report); !slices.Equal(got, kindList{verify.Malformed}) || report.Found != 1 {
		t.Errorf("found %d: %v", report.Found, report.Findings)
	}
	if !strings.Contains(strings.Join(report.Skipped, ""), "deleted") {
		t.Errorf("skipped %v does not say that the rest was not compared", report.Skipped)
	}
}
