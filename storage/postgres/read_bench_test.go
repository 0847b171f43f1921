package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// replayed is how many records a log has that is read.
const replayed = 200_000

// fillLog appends that many to a thousand streams.
func fillLog(b *testing.B, d *postgres.Driver, data []byte) {
	for n := range replayed / 1000 {
		a := daybook.Append{}
		for k := range 100 {
			c := daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("account-%d", (n*100+k)%1000))}
			for range 10 {
				c.Events = append(c.Events, daybook.Event{Type: "deposited", Data: data})
			}
			a.Changesets = append(a.Changesets, c)
		}
		if _, err := daybook.New(d, nil).AppendAll(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := postgres.Pool(d).Exec(b.Context(), "ANALYZE "+postgres.Schema(d)+".events"); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkReadLog reads a log of records of 256 bytes; "bare" scans the same
// columns of the same rows with pgx, all at once, and makes nothing of them;
// "bare, few columns" leaves out what only some events have.
func BenchmarkReadLog(b *testing.B) {
	d := open(b, freshSchema(b), nil)
	store := daybook.New(d, nil)
	data := []byte(`{"pad":"` + strings.Repeat("x", 246) + `"}`)
	fillLog(b, d, data)
	perRecord := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/replayed, "ns/record")
	}
	b.Run("records", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for record, err := range store.ReadLog(b.Context(), daybook.LogRead{}) {
				if err != nil || len(record.Data) != len(data) {
					b.Fatal(err)
				}
				n++
			}
			if n != replayed {
				b.Fatalf("%d records", n)
			}
		}
		perRecord(b)
	})
	bare := func(columns string, into ...any) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				rows, err := postgres.Pool(d).Query(b.Context(), "SELECT "+columns+" FROM "+postgres.Schema(d)+".events ORDER BY position")
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				_, err = pgx.ForEachRow(rows, into, func() error {
					n++
					return nil
				})
				if err != nil || n != replayed {
					b.Fatal(n, err)
				}
			}
			perRecord(b)
		}
	}
	var position, version, ordinal, changeset int64
	var place, count int32
	var appendID, id [16]byte
	var recordedAt time.Time
	var occurredAt *time.Time
	var detailed bool
	var partition, stream, kind string
	var contentType *string
	var text, raw, about, metadata pgtype.DriverBytes
	var tags []string
	few := []any{&position, &version, &ordinal, &appendID, &id, &recordedAt, &stream, &kind, &text}
	b.Run("bare, few columns", bare("position, version, ordinal, append_id, id, recorded_at, stream, type, json", few...))
	all := append(few, &changeset, &place, &count, &occurredAt, &detailed, &partition, &contentType, &raw, &tags, &about, &metadata)
	b.Run("bare", bare("position, version, ordinal, append_id, id, recorded_at, stream, type, json, "+
		"changeset, place, count, occurred_at, detailed, partition, content_type, data, tags, context, metadata", all...))
}
