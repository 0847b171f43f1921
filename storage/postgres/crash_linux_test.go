package postgres_test

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/verify"
)

func TestPostgresKilledUnderLoadKeepsWhatWasAcknowledged(t *testing.T) {
	const writers, kills = 8, 2
	random := randomOf(t)
	server := ownServer(t)
	store := daybook.New(open(t, server.url(), nil), nil)
	var acknowledged atomic.Int64
	var over atomic.Bool
	answered := make([][]outcome, writers)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for n := 0; !over.Load(); n++ {
				receipt, err := store.AppendAll(t.Context(), crashAppend(w, n))
				answered[w] = append(answered[w], outcome{receipt, err})
				if err != nil {
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	for range kills {
		goal := acknowledged.Load() + 50 + random.Int64N(200)
		eventually(t, "appends are acknowledged", func() bool { return acknowledged.Load() >= goal })
		server.stop(syscall.SIGKILL)
		server.start(t)
	}
	goal := acknowledged.Load() + 50
	eventually(t, "appends go on behind the last kill", func() bool { return acknowledged.Load() >= goal })
	over.Store(true)
	running.Wait()
	want := 0
	for w := range answered {
		for n, o := range answered[w] {
			if o.err != nil {
				t.Errorf("append %d of writer %d, tried again until the server was back, says %v", n, w, o.err)
				continue
			}
			want++
			repeated, err := store.AppendAll(t.Context(), crashAppend(w, n))
			if o.receipt.Repeated = true; err != nil || !reflect.DeepEqual(repeated, o.receipt) {
				t.Errorf("append %d of writer %d was answered with %+v, repeated with %+v (%v)", n, w, o.receipt, repeated, err)
			}
		}
	}
	if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); len(got) != want {
		t.Errorf("the log has %d records, %d were acknowledged", len(got), want)
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("what was found: %v (%v)", report.Findings, err)
	}
	t.Logf("%d appends were acknowledged", want)
}

// crashAppend returns the nth append of a writer, always the same. Some are not
// plain.
func crashAppend(writer, n int) daybook.Append {
	e := daybook.Event{Type: "deposited", Data: fmt.Appendf(nil, `{"n":%d}`, n)}
	if n%5 == 0 {
		e.Tags = []string{"fifth"}
	}
	return daybook.Append{
		ID: daybook.ID{2, byte(writer), byte(n >> 16), byte(n >> 8), byte(n)},
		Changesets: []daybook.Changeset{{
			Stream: daybook.Stream(fmt.Sprintf("account-%d", writer)), Expect: daybook.ExpectVersion(daybook.Version(n)), Events: []daybook.Event{e},
		}},
	}
}
