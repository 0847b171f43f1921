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

func TestImportKeepsGapsAndCanBeReadBackwardsAndReopened(t *testing.T) {
	source := open(t, t.TempDir(), nil)
	claim := daybook.Claim{Kind: "email", Value: "ann@example.org"}
	store := daybook.New(source, nil)
	swap := severalStreams(1)
	// The claim changes hands within one append.
	swap.ID, swap.Changesets[0].Claims, swap.Changesets[2].Releases = daybook.NewID(), []daybook.Claim{claim}, []daybook.Claim{claim}
	if _, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-2"), Events: events(0, 3), Claims: []daybook.Claim{claim}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AppendAll(t.Context(), swap); err != nil {
		t.Fatal(err)
	}
	add(t, source, "s-0", events(7, 2)...)
	changesets := recorded(t, source)
	// Tear holes between and inside the changesets.
	var at daybook.Position
	for i := range changesets {
		changesets[i].Ordinal += daybook.Ordinal(i)
		for j := range changesets[i].Records {
			at += daybook.Position(1 + (i+j)%4)
			changesets[i].Records[j].Position = at
		}
	}
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 1})
	if err := daybook.New(d, nil).Import(t.Context(), changesets); err != nil {
		t.Fatal(err)
	}
	check := func(d *disk.Driver) {
		t.Helper()
		var want []daybook.Record
		for i := range changesets {
			want = append(want, changesets[i].Records...)
		}
		got := wholeLog(t, d)
		for i := range got {
			if got[i].Position != want[i].Position || got[i].Version != want[i].Version || got[i].ID != want[i].ID || !got[i].RecordedAt.Equal(want[i].RecordedAt) {
				t.Fatalf("record %d is %+v, want %+v", i, got[i], want[i])
			}
		}
		for after := daybook.Position(0); after <= at; after++ {
			behind := slices.IndexFunc(want, func(r daybook.Record) bool { return r.Position > after })
			if behind < 0 {
				behind = len(want)
			}
			forward, err := readLog(t, d, daybook.LogRead{After: after})
			if err != nil || len(forward) != len(want)-behind {
				t.Fatalf("after %d: %d records, %v, want %d", after, len(forward), err, len(want)-behind)
			}
			back, err := readLog(t, d, daybook.LogRead{To: after, Backwards: true})
			if after > 0 && (err != nil || len(back) != behind) {
				t.Fatalf("backwards from %d: %d records, %v, want %d", after, len(back), err, behind)
			}
		}
		if holder, held, err := d.ClaimHolder(t.Context(), "", claim); err != nil || !held || holder.Name != "s-0" {
			t.Fatalf("the claim is held by %v, %v, %v, want s-0", holder, held, err)
		}
		receipt, err := daybook.New(d, nil).AppendAll(t.Context(), swap)
		if err != nil || !receipt.Repeated || len(receipt.Changesets) != 3 {
			t.Fatalf("an append that was imported, again: %+v, %v", receipt, err)
		}
	}
	check(d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, nil)
	check(again)
	if receipt := add(t, again, "s-0", event(1)); receipt.Position() != at+1 {
		t.Errorf("behind an import that ends at %d comes %d", at, receipt.Position())
	}
	var invalid *daybook.InvalidError
	if err := daybook.New(again, nil).Import(t.Context(), changesets); !errors.As(err, &invalid) {
		t.Errorf("the same import again answers %v", err)
	}
}
