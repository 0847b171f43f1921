//go:build unix

package disk_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// The log that the benchmarks of reading read: streams that grow in turn, one
// event of 256 bytes an append, and one of a hundred tags on each.
const (
	benchRecords = 200_000
	benchStreams = 200
	benchTags    = 100
)

func benchTag(n int) string {
	return fmt.Sprintf("group:%d", uint64(n)*0x9E3779B97F4A7C15>>32%benchTags)
}

func benchStream(n int) daybook.StreamID {
	return daybook.Stream(fmt.Sprintf("account-%07d", n%benchStreams))
}

// benchLog makes the log in a directory.
func benchLog(b *testing.B, dir string) {
	b.Helper()
	d, err := disk.Open(dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	store := daybook.New(d, nil)
	data := fmt.Appendf(nil, `{"account":"account-000123","amount":512345,"valid":true,"note":%q}`, strings.Repeat("abcdefgh ", 22))[:256]
	for n := 0; n < benchRecords; {
		a := daybook.Append{Durability: daybook.DurabilityMemory}
		for range benchStreams {
			a.Changesets = append(a.Changesets, daybook.Changeset{
				Stream: benchStream(n), Events: []daybook.Event{{Type: "deposited", Data: data, Tags: []string{benchTag(n)}}},
			})
			n++
		}
		if _, err := store.AppendAll(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}

// bareLoop reads the segments in a directory, finds each frame and checks its
// CRC32C, and does nothing else but to hand it over.
func bareLoop(dir string, buffer []byte, visit func(frame []byte)) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil {
		return err
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		for offset := int64(72); ; {
			n, err := file.ReadAt(buffer, offset)
			at := 0
			for n-at >= 88 {
				frame := buffer[at:n]
				size := 88 + int(binary.LittleEndian.Uint32(frame[8:]))
				if size > len(frame) {
					break
				}
				if crc32.Checksum(frame[88:size], table) != binary.LittleEndian.Uint32(frame[12:]) {
					return errors.New("a checksum does not match")
				}
				visit(frame[:size])
				at += size
			}
			offset += int64(at)
			if err == io.EOF && at == n {
				break
			}
			if at == 0 {
				return fmt.Errorf("no frame: %v", err)
			}
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// bareCount counts the records by the bare loop.
func bareCount(dir string, buffer []byte) (records int, err error) {
	err = bareLoop(dir, buffer, func(frame []byte) { records += int(binary.LittleEndian.Uint32(frame[20:])) })
	return records, err
}

// bareFill yields a record for each frame of the bare loop, filled with what
// takes no search, no check and no memory: the bound of all that yield records.
func bareFill(dir string, buffer []byte) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		var record daybook.Record
		record.Stream, record.ContentType = benchStream(0), daybook.ContentTypeJSON
		record.Type, record.Tags = "deposited", []string{benchTag(0)}
		record.Changeset = &daybook.ChangesetHeader{First: 1, Count: 1}
		le := binary.LittleEndian
		err := bareLoop(dir, buffer, func(frame []byte) {
			record.Changeset.Number = daybook.ChangesetNumber(le.Uint64(frame[48:]))
			record.Changeset.Ordinal = daybook.Ordinal(le.Uint64(frame[40:]))
			record.Changeset.AppendID = daybook.ID(frame[72:88])
			record.Position, record.Version = daybook.Position(le.Uint64(frame[32:])), daybook.Version(le.Uint64(frame[56:]))
			record.RecordedAt = time.UnixMicro(int64(le.Uint64(frame[64:]))).UTC()
			record.OccurredAt = record.RecordedAt
			head := frame[88+1+int(frame[88]):]
			record.ID = daybook.ID(head[5:21])
			record.Data = head[3+int(head[0]):][:256]
			yield(record, nil)
		})
		if err != nil {
			yield(daybook.Record{}, err)
		}
	}
}

// processor returns the processor time that the process has used: on a machine
// that others use too it tells more than the clock does.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkRead reports what one record costs.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	benchLog(b, dir)
	d, err := disk.Open(dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	run := func(name string, read func(n int) int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := processor(b)
			defer func() {
				b.ReportMetric(float64((processor(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			}()
			for n, records := 0, 0; records < b.N; n++ {
				got := read(n)
				if got == 0 {
					b.Fatal("nothing was read")
				}
				records += got
			}
		})
	}
	count := func(records iter.Seq2[daybook.Record, error]) (n int) {
		for r, err := range records {
			if err != nil || len(r.Data) != 256 {
				b.Fatal(err)
			}
			n++
		}
		return n
	}
	buffer := make([]byte, 256<<10)
	run("bare", func(int) int {
		n, err := bareCount(dir, buffer)
		if err != nil {
			b.Fatal(err)
		}
		return n
	})
	run("fill", func(int) int { return count(bareFill(dir, buffer)) })
	ctx := b.Context()
	run("log/owned", func(int) int { return count(d.ReadLog(ctx, daybook.LogRead{})) })
	run("log/borrowed", func(int) int { return count(d.ReadLog(ctx, daybook.LogRead{Borrow: true})) })
	run("log/backwards", func(int) int { return count(d.ReadLog(ctx, daybook.LogRead{Backwards: true, Borrow: true})) })
	run("stream/owned", func(n int) int { return count(d.ReadStream(ctx, benchStream(n), daybook.StreamRead{})) })
	run("stream/borrowed", func(n int) int {
		return count(d.ReadStream(ctx, benchStream(n), daybook.StreamRead{Borrow: true}))
	})
	run("stream/last", func(n int) int {
		return count(d.ReadStream(ctx, benchStream(n), daybook.StreamRead{Backwards: true, Limit: 1}))
	})
	tag := func(n int) daybook.Filter {
		return daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{benchTag(n)}}}}}
	}
	run("tag/owned", func(n int) int { return count(d.ReadLog(ctx, daybook.LogRead{Filter: tag(n)})) })
	run("tag/borrowed", func(n int) int { return count(d.ReadLog(ctx, daybook.LogRead{Filter: tag(n), Borrow: true})) })
}
