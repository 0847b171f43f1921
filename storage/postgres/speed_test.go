package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// BenchmarkAppend appends from many goroutines at once, each to a stream of its
// own; "bare" is one statement an append, which is one transaction, with a
// position, a unique version and nothing else.
func BenchmarkAppend(b *testing.B) {
	data := []byte(`{"pad":"` + strings.Repeat("x", 246) + `"}`)
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			d := open(b, freshSchema(b), nil)
			store := daybook.New(d, nil)
			eachWriter(b, writers, func(stream string, n int) error {
				_, err := store.Append(b.Context(), daybook.Stream(stream), daybook.ExpectVersion(daybook.Version(n)), daybook.Event{Type: "deposited", Data: data})
				return err
			})
		})
		b.Run(fmt.Sprintf("%d writers, tags and context", writers), func(b *testing.B) {
			store := daybook.New(open(b, freshSchema(b), nil), nil)
			eachWriter(b, writers, func(stream string, n int) error {
				event := daybook.Event{Type: "deposited", Data: data, Tags: []string{stream}, Context: daybook.Context{Who: "ann"}}
				_, err := store.Append(b.Context(), daybook.Stream(stream), daybook.ExpectVersion(daybook.Version(n)), event)
				return err
			})
		})
		b.Run(fmt.Sprintf("%d writers, bare", writers), func(b *testing.B) {
			address := freshSchema(b)
			d := open(b, address, &postgres.Options{Connections: 32})
			table := postgres.Schema(d) + ".bare"
			_, err := postgres.Pool(d).Exec(b.Context(), "CREATE TABLE "+table+` (
				position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, data bytea NOT NULL, UNIQUE (stream, version))`)
			if err != nil {
				b.Fatal(err)
			}
			sql := "INSERT INTO " + table + " (stream, version, data) VALUES ($1, $2, $3)"
			eachWriter(b, writers, func(stream string, n int) error {
				_, err := postgres.Pool(d).Exec(b.Context(), sql, pgx.QueryExecModeCacheStatement, stream, n, data)
				return err
			})
		})
	}
}

// eachWriter lets so many goroutines append b.N times in all.
func eachWriter(b *testing.B, writers int, do func(stream string, n int) error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		running.Go(func() {
			for n := 0; left.Add(-1) >= 0; n++ {
				if err := do(fmt.Sprintf("account-%d", w), n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}
