package disk_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// openingSize returns how many records, in how many streams, a benchmark of
// opening is about: DAYBOOK_RECORDS and DAYBOOK_STREAMS, or a few.
func openingSize(b *testing.B) (records, streams int) {
	number := func(name string, byDefault int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return byDefault
	}
	return number("DAYBOOK_RECORDS", 200_000), number("DAYBOOK_STREAMS", 50_000)
}

// filled returns a directory with a closed store. With DAYBOOK_DIR it stays
// there for the next run.
func filled(b *testing.B) (dir string, records int) {
	records, streams := openingSize(b)
	if dir = os.Getenv("DAYBOOK_DIR"); dir == "" {
		dir = b.TempDir()
	} else if _, err := os.Stat(filepath.Join(dir, "daybook.json")); err == nil {
		return dir, records
	}
	d, err := disk.Open(dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	store := daybook.New(d, nil)
	data := make([]byte, 230)
	for n := 0; n < records; n += 500 {
		a := daybook.Append{Durability: daybook.DurabilityOS}
		for i := range 500 {
			a.Changesets = append(a.Changesets, daybook.Changeset{
				Stream: daybook.Stream(fmt.Sprintf("account-%d", (n+i)%streams)),
				Events: []daybook.Event{{Type: "deposited", Tags: []string{fmt.Sprint("n:", n%100)}, Data: data}},
			})
		}
		if _, err := store.AppendAll(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
	return dir, records
}

// BenchmarkOpen opens a store after a clean stop, beside a bare scan of its
// files; the memory that it holds then is reported.
func BenchmarkOpen(b *testing.B) {
	dir, records := filled(b)
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			if n := scanBare(b, dir); n < records {
				b.Fatalf("%d frames", n)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			d, err := disk.Open(dir, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("heap", func(b *testing.B) {
		for b.Loop() {
			before := heap()
			d, err := disk.Open(dir, &disk.Options{ReadOnly: true}) // nothing runs beside it
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(int64(heap()-before)), "heap-bytes")
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// scanBare reads the segments of a store and checks the bodies of the frames,
// and nothing else.
func scanBare(b *testing.B, dir string) (frames int) {
	names, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil {
		b.Fatal(err)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	body := make([]byte, 64<<10)
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		r := bufio.NewReaderSize(file, 1<<20)
		if _, err := r.Discard(72); err != nil {
			b.Fatal(err)
		}
		for {
			header, err := r.Peek(88)
			if err == io.EOF || err == nil && binary.LittleEndian.Uint32(header) == 0 {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			size, sum := binary.LittleEndian.Uint32(header[8:]), binary.LittleEndian.Uint32(header[12:])
			if _, err := r.Discard(88); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r, body[:size]); err != nil {
				b.Fatal(err)
			}
			if crc32.Checksum(body[:size], table) != sum {
				b.Fatal("a checksum does not match")
			}
			frames++
		}
		file.Close()
	}
	return frames
}
