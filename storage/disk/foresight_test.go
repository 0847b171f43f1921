package disk

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
)

// Streams whose ends stand in files only, and go on in memory, must be decided
// by where they end, whatever was looked up before.
func TestAppendsToSealedStreamsAreDecidedByTheirEnds(t *testing.T) {
	d, err := Open(t.TempDir(), &Options{SegmentBytes: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	store := daybook.New(d, nil)
	const streams, rounds, writers = 40, 30, 4
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for round := range rounds {
				for round == rounds/2 && d.log.index.sealed.next() == 0 {
					runtime.Gosched() // until some are in files
				}
				for s := w; s < streams; s += writers {
					id := daybook.IDOf(fmt.Sprint(s, "-", round))
					for range 2 { // and once again
						receipt, err := store.AppendAll(t.Context(), daybook.Append{
							ID: id, Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{{
								Stream: daybook.Stream(fmt.Sprint("s-", s)), Expect: daybook.ExpectVersion(daybook.Version(round)),
								Events: []daybook.Event{{ID: id, Type: "t", Data: make([]byte, 200)}},
							}},
						})
						if err != nil || receipt.Changesets[0].First != daybook.Version(round+1) {
							t.Errorf("stream %d, round %d: %+v, %v", s, round, receipt, err)
							return
						}
					}
				}
			}
		})
	}
	running.Wait()
}
