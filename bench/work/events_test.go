package work

import (
	"encoding/json"
	"testing"
)

func TestEventsHaveExactlyTheSizeAndAreDifferent(t *testing.T) {
	for _, size := range []int{256, 1024} {
		list, err := bodies(500, size)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, body := range list {
			var event deposited
			if err := json.Unmarshal(body, &event); err != nil || event.Account == "" {
				t.Fatalf("%s is no event (error %v)", body, err)
			}
			if len(body) != size {
				t.Errorf("an event has %d bytes, want %d", len(body), size)
			}
			seen[string(body)] = true
		}
		if len(seen) != len(list) {
			t.Errorf("%d of %d events are different", len(seen), len(list))
		}
	}
}

func TestStreamsGrowInTurnAndEveryTagHasItsPart(t *testing.T) {
	set, err := newDataset(Task{Records: 200_000, Streams: 200, Bytes: 256})
	if err != nil {
		t.Fatal(err)
	}
	heads, tagged := map[string]int64{}, map[string]int{}
	for n := range set.records {
		a := set.record(n)
		if a.First != heads[a.Stream]+1 {
			t.Fatalf("record %d of %s has version %d, behind %d", n, a.Stream, a.First, heads[a.Stream])
		}
		heads[a.Stream] = a.First
		tagged[a.Events[0].Tag]++
	}
	for stream, head := range heads {
		if head != 1000 {
			t.Errorf("%s has %d records, want 1,000", stream, head)
		}
	}
	if len(tagged) != tags {
		t.Errorf("%d tags are carried, want %d", len(tagged), tags)
	}
	for tag, n := range tagged {
		if n < 1500 || n > 2500 {
			t.Errorf("%s is carried by %d records, want about 2,000", tag, n)
		}
	}
}
