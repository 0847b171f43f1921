package daybook_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
)

func TestNewIDsRiseAndTellTheTime(t *testing.T) {
	const each = 20000
	before := time.Now().Truncate(time.Millisecond)
	lists := make([][]daybook.ID, 4)
	var running sync.WaitGroup
	for i := range lists {
		running.Go(func() {
			for range each {
				lists[i] = append(lists[i], daybook.NewID())
			}
		})
	}
	running.Wait()
	var all []daybook.ID
	for _, list := range lists {
		for i, id := range list {
			if i > 0 && bytes.Compare(list[i-1][:], id[:]) >= 0 {
				t.Fatalf("%s follows %s", id, list[i-1])
			}
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b daybook.ID) int { return bytes.Compare(a[:], b[:]) })
	if n := len(slices.Compact(all)); n != 4*each {
		t.Errorf("%d ids differ of %d", n, 4*each)
	}
	id := all[0]
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("%s is of version %d, variant %s", id, id.Version(), id.Variant())
	}
	if told := time.Unix(id.Time().UnixTime()); told.Before(before) || told.After(time.Now().Add(time.Second)) {
		t.Errorf("%s tells %s, it was made after %s", id, told, before)
	}
}
