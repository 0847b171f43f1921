package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// directFS is a file system that writes past the page cache, as strict as a
// real one, or refuses to at some point.
type directFS struct {
	disk.FS
	refuses string // "opening", "writing" or nothing
	written atomic.Int64
	wrong   atomic.Pointer[string]
}

func (f *directFS) OpenDirect(name string) (disk.File, error) {
	if f.refuses == "opening" {
		return nil, errors.ErrUnsupported
	}
	file, err := f.FS.OpenWrite(name)
	return directFile{file, f}, err
}

type directFile struct {
	disk.File
	fs *directFS
}

func (f directFile) WriteAt(b []byte, offset int64) (int, error) {
	if f.fs.refuses == "writing" {
		return 0, errors.ErrUnsupported
	}
	address := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	if len(b)%durable.BlockBytes != 0 || offset%durable.BlockBytes != 0 || address%durable.BlockBytes != 0 {
		wrong := fmt.Sprintf("%d bytes at %d from %x are no whole blocks", len(b), offset, address)
		f.fs.wrong.Store(&wrong)
	}
	f.fs.written.Add(int64(len(b)))
	return f.File.WriteAt(b, offset)
}

func TestLargeAppendsAreWrittenPastThePageCacheWhereThatCanBe(t *testing.T) {
	for _, refuses := range []string{"nothing", "opening", "writing"} {
		t.Run("refuses "+refuses, func(t *testing.T) {
			fsys := &directFS{FS: durable.OS, refuses: refuses}
			options := &disk.Options{FS: fsys, SegmentBytes: 1 << 20}
			dir := t.TempDir()
			d := open(t, dir, options)
			// Small and large ones in turn, over several segments, with ends
			// anywhere in a block.
			for n := range 40 {
				e := event(n)
				if e.Data = []byte(`"small"`); n%3 > 0 {
					e.Data = append(bytes.Repeat([]byte("x"), 100_000+n*997), 'y')
				}
				add(t, d, daybook.Stream("s-0").Name, e)
			}
			all := wholeLog(t, d)
			if len(all) != 40 {
				t.Fatalf("%d records, want 40", len(all))
			}
			crashed := open(t, filesOf(t, dir).put(t), nil)
			if r := crashed.Recovery(); r.Cut != nil || r.Damage != nil {
				t.Errorf("what a crash leaves: %+v", r)
			}
			wantRecords(t, "after a crash", wholeLog(t, crashed), all)
			appendAndReopen(t, d, dir, all)
			if wrong := fsys.wrong.Load(); wrong != nil {
				t.Error(*wrong)
			}
			if past := fsys.written.Load() > 0; past != (refuses == "nothing") {
				t.Errorf("%d bytes were written past the page cache", fsys.written.Load())
			}
		})
	}
}
