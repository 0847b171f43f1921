package disk_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// recorded returns the changesets of a store.
func recorded(t *testing.T, d *disk.Driver) []daybook.RecordedChangeset {
	t.Helper()
	var all []daybook.RecordedChangeset
	for c, err := range daybook.Changesets(d.ReadLog(t.Context(), daybook.LogRead{})) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// importGaps returns a history to import: a claim changes hands within one of
// its appends, and there are gaps between positions and between ordinals.
func importGaps(t *testing.T) (changesets []daybook.RecordedChangeset, swap daybook.Append, claim daybook.Claim) {
	t.Helper()
	source := open(t, t.TempDir(), nil)
	store := daybook.New(source, nil)
	claims := []daybook.Claim{{Kind: "email", Value: "ann@example.org"}}
	taken := daybook.Append{Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-2"), Events: events(0, 3), Claims: claims}}}
	swap = severalStreams(1)
	swap.ID, swap.Changesets[0].Claims, swap.Changesets[2].Releases = daybook.NewID(), claims, claims
	for _, a := range []daybook.Append{taken, swap} {
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	add(t, source, "s-0", events(7, 2)...)
	changesets = recorded(t, source)
	var at daybook.Position
	for i := range changesets {
		changesets[i].Ordinal += daybook.Ordinal(i)
		for j := range changesets[i].Records {
			at += daybook.Position(1 + (i+j)%4)
			changesets[i].Records[j].Position = at
		}
	}
	return changesets, swap, claims[0]
}

func TestImportKeepsGapsWhenTheStoreIsOpenedAgain(t *testing.T) {
	changesets, swap, claim := importGaps(t)
	var want []daybook.Record
	for i := range changesets {
		want = append(want, changesets[i].Records...)
	}
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 1})
	if err := daybook.New(d, nil).Import(t.Context(), changesets); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantImported(t, d, want)
		if holder, held, err := d.ClaimHolder(t.Context(), "", claim); err != nil || !held || holder.Name != "s-0" {
			t.Errorf("the claim is held by %v, %v, %v, want s-0", holder, held, err)
		}
		receipt, err := daybook.New(d, nil).AppendAll(t.Context(), swap)
		if err != nil || !receipt.Repeated || len(receipt.Changesets) != 3 {
			t.Errorf("an append that was imported, again: %+v, %v", receipt, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = open(t, dir, nil)
	}
	end := want[len(want)-1].Position
	if receipt := add(t, d, "s-0", event(1)); receipt.Position() != end+1 {
		t.Errorf("behind an import that ends at %d comes %d", end, receipt.Position())
	}
	var invalid *daybook.InvalidError
	if err := daybook.New(d, nil).Import(t.Context(), changesets); !errors.As(err, &invalid) {
		t.Errorf("the same import again answers %v", err)
	}
}

// wantImported checks the records of an import, read from every position on.
func wantImported(t *testing.T, d *disk.Driver, want []daybook.Record) {
	t.Helper()
	for i, got := range wholeLog(t, d) {
		if got.Position != want[i].Position || got.Version != want[i].Version || got.ID != want[i].ID || !got.RecordedAt.Equal(want[i].RecordedAt) {
			t.Fatalf("record %d is %+v, want %+v", i, got, want[i])
		}
	}
	for after := daybook.Position(1); after <= want[len(want)-1].Position; after++ {
		behind := slices.IndexFunc(want, func(r daybook.Record) bool { return r.Position > after })
		if behind < 0 {
			behind = len(want)
		}
		forward, err := readLog(t, d, daybook.LogRead{After: after})
		if err != nil || len(forward) != len(want)-behind {
			t.Fatalf("after %d: %d records, %v, want %d", after, len(forward), err, len(want)-behind)
		}
		back, err := readLog(t, d, daybook.LogRead{To: after, Backwards: true})
		if err != nil || len(back) != behind {
			t.Fatalf("backwards from %d: %d records, %v, want %d", after, len(back), err, behind)
		}
	}
}
