package logindex

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
)

// benchWrite writes the index of n changesets of one record, in so many
// streams, that stand behind others.
func benchWrite(to io.Writer, n, streams int, behind int64) (int64, error) {
	w := NewWriter(to, testStore, []Segment{{First: daybook.Position(behind + 1), Bytes: 1 << 30}}, Counts{Streams: int64(streams), Others: int64(n) + 1002})
	var id daybook.ID
	for i := range n {
		binary.BigEndian.PutUint64(id[:], uint64(behind)<<10+uint64(i)<<10+uint64(i%64))
		w.Append(id, PlaceOf(0, int64(72+i*400)))
	}
	positions := make([]daybook.Position, n)
	for tag := range 1000 {
		w.Tag(fmt.Sprintf("n:%04d", tag))
		tagged := positions[:0]
		for i := tag; i < n; i += 1000 {
			tagged = append(tagged, daybook.Position(behind+int64(i)+1))
		}
		w.Positions(tagged)
	}
	for s := range streams {
		w.Stream(benchStream(s), daybook.Head{Version: 1 << 30, Changeset: 1, First: 1, Position: 1})
		for i := s; i < n; i += streams {
			w.Changeset(daybook.Version(behind/int64(streams)+int64(i/streams)+1), PlaceOf(0, int64(72+i*400)))
		}
	}
	positions = positions[:n]
	for i := range positions {
		positions[i] = daybook.Position(behind + int64(i) + 1)
	}
	w.StreamType("account")
	w.Positions(positions)
	w.Type("deposited")
	w.Positions(positions)
	var marks Marks
	for i := 0; i < n; i += 11 {
		marks.Add(Mark{positions[i], int64(72 + i*400)}, testTime)
	}
	return w.End(Totals{Changesets: int64(n), Records: int64(n), FirstPosition: positions[0], LastPosition: positions[n-1]}, &marks)
}

func benchStream(n int) daybook.StreamID { return daybook.Stream(fmt.Sprintf("account-%09d", n)) }

func benchFile(b *testing.B, n, streams int, behind int64) *Run {
	file, err := os.Create(filepath.Join(b.TempDir(), "index"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { file.Close() })
	size, err := benchWrite(file, n, streams, behind)
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

const benchRecords = 200_000

// BenchmarkHead looks for streams, and appends, in an index of as many.
func BenchmarkHead(b *testing.B) {
	id := func(i int) daybook.StreamID { return benchStream(i * 7919 % benchRecords) }
	r := benchFile(b, benchRecords, benchRecords, 0)
	b.Run("index", func(b *testing.B) {
		b.ReportAllocs()
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
			binary.BigEndian.PutUint64(id[:], uint64(i*7919%benchRecords)<<10+200)
			if _, _, err := r.Append(id); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkWrite writes an index; BenchmarkMerge makes one of four.
func BenchmarkWrite(b *testing.B) {
	for _, streams := range []int{64, benchRecords} {
		b.Run(fmt.Sprintf("%d streams", streams), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := benchWrite(io.Discard, benchRecords, streams, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, streams := range []int{64, benchRecords} {
		b.Run(fmt.Sprintf("%d streams", streams), func(b *testing.B) {
			var runs []*Run
			for i := range 4 {
				runs = append(runs, benchFile(b, benchRecords, streams, int64(i)*benchRecords))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Merge(io.Discard, true, runs...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords/4, "ns/record")
		})
	}
}
