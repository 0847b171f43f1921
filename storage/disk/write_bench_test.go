package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// BenchmarkAppend appends from many goroutines at once, each to a stream of
// its own: so many events of 256 bytes with one append.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ writers, group int }{{1, 1}, {16, 1}, {64, 1}, {256, 1}, {64, 10}, {64, 100}} {
		b.Run(fmt.Sprintf("%d writers, %d events", c.writers, c.group), func(b *testing.B) {
			benchmarkAppend(b, c.writers, c.group, daybook.DurabilityDisk, nil)
		})
	}
	b.Run("64 writers, 1 event, in memory", func(b *testing.B) {
		benchmarkAppend(b, 64, 1, daybook.DurabilityMemory, nil)
	})
	b.Run("64 writers, 1 event, never matching", func(b *testing.B) {
		benchmarkAppend(b, 64, 1, daybook.DurabilityDisk, &daybook.Condition{
			Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"deposited"}, Tags: []string{"closed"}}}},
		})
	})
}

func benchmarkAppend(b *testing.B, writers, group int, level daybook.Durability, condition *daybook.Condition) {
	d, err := disk.Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	store := daybook.New(d, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	data := []byte(`{"pad":"` + strings.Repeat("x", 246) + `"}`)
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for n := range writers {
		running.Go(func() {
			stream, version := daybook.Stream(fmt.Sprintf("account-%d", n)), daybook.Version(0)
			for left.Add(-int64(group)) > -int64(group) {
				events := make([]daybook.Event, group)
				for i := range events {
					events[i] = daybook.Event{Type: "deposited", Data: data}
					if condition != nil {
						events[i].Tags = []string{"open"}
					}
				}
				_, err := store.AppendAll(ctx, daybook.Append{
					Durability: level, Condition: condition,
					Changesets: []daybook.Changeset{{Stream: stream, Expect: daybook.ExpectVersion(version), Events: events}},
				})
				if err != nil {
					b.Error(err)
					return
				}
				version += daybook.Version(group)
			}
		})
	}
	running.Wait()
}

// BenchmarkBareWrite writes and syncs the bytes of such appends, as many at
// once as a round of so many writers holds, in space that was written before:
// what a round cannot be faster than.
func BenchmarkBareWrite(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			const room, event = 64 << 20, 408
			file, err := durable.OS.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteAt(make([]byte, room), 0); err != nil {
				b.Fatal(err)
			}
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
			buf := bytes.Repeat([]byte("x"), writers*event)
			b.ResetTimer()
			for n, at := 0, 0; n < b.N; n += writers {
				if at += len(buf); at+len(buf) > room {
					at = 0
				}
				if _, err := file.WriteAt(buf, int64(at)); err != nil {
					b.Fatal(err)
				}
				if err := file.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
