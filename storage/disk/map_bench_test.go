//go:build linux

package disk_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
)

// BenchmarkReadCallAgainstMap measures what docs/decisions/0016 was decided
// by: pieces of a warm file by a read call, and copied out of a map under the
// guard that a map needs.
func BenchmarkReadCallAgainstMap(b *testing.B) {
	const size = 256 << 20
	name := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		b.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	mapped, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(mapped) }()
	for _, piece := range []int64{256 << 10, 4 << 10, 448} {
		into := make([]byte, piece)
		next := func(i int) int64 {
			if piece >= 256<<10 {
				return int64(i) * piece % size
			}
			return rand.Int64N((size-piece)/8) * 8
		}
		b.Run(fmt.Sprintf("%d bytes, read call", piece), func(b *testing.B) {
			for i := range b.N {
				if _, err := file.ReadAt(into, next(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d bytes, map", piece), func(b *testing.B) {
			for i := range b.N {
				if !copyGuarded(into, mapped[next(i):]) {
					b.Fatal("the map could not be read")
				}
			}
		})
	}
}

// copyGuarded copies out of a map, and survives a page that cannot be read.
func copyGuarded(into, from []byte) (whole bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { whole = recover() == nil }()
	copy(into, from)
	return true
}
