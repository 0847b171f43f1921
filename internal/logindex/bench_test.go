package logindex

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
)

// benchLog calls add with n changesets of one record in as many streams.
func benchLog(n int, add func(*Changeset)) {
	for i := range n {
		var id daybook.ID
		binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
		add(&Changeset{
			Place: PlaceOf(0, int64(72+i*400)), Stream: daybook.Stream(fmt.Sprintf("account-%09d", i)), AppendID: id,
			Number: 1, Ordinal: daybook.Ordinal(i + 1), First: 1, Since: 1,
			Records: []Record{{Position: daybook.Position(i + 1), Type: "deposited", Tags: []string{fmt.Sprintf("n:%d", i%1000)}}},
		})
	}
}

func benchFile(b *testing.B, n int) *Run {
	builder := NewBuilder(testStore)
	builder.Segment(Segment{First: 1, Bytes: 1 << 30})
	benchLog(n, func(c *Changeset) { builder.Add([]Changeset{*c}) })
	name := filepath.Join(b.TempDir(), "index")
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { file.Close() })
	size, err := builder.WriteTo(file)
	if err != nil {
		b.Fatal(err)
	}
	r, err := Open(file, size, testStore)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size)/float64(n), "file-bytes/record")
	b.ReportMetric(float64(r.Resident())/float64(n), "resident-bytes/record")
	return r
}

const benchStreams = 200_000

func BenchmarkHead(b *testing.B) {
	id := func(i int) daybook.StreamID { return daybook.Stream(fmt.Sprintf("account-%09d", i*7919%benchStreams)) }
	b.Run("map", func(b *testing.B) {
		heads := map[daybook.StreamID]daybook.Head{}
		benchLog(benchStreams, func(c *Changeset) { heads[c.Stream] = daybook.Head{Version: 1} })
		for i := 0; b.Loop(); i++ {
			if heads[id(i)].Version != 1 {
				b.Fatal("no head")
			}
		}
	})
	r := benchFile(b, benchStreams)
	b.Run("index", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, ok, err := r.Head(id(i)); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("absent", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, _, err := r.Head(daybook.Stream(fmt.Sprintf("order-%09d", i))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("absent append", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			var id daybook.ID
			binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c17+1)
			if _, _, err := r.Append(id); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		benchFile(b, benchStreams)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchStreams, "ns/record")
}
