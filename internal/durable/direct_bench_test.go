package durable_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook/internal/durable"
)

// BenchmarkWrite writes and syncs pieces of a file one behind the other:
// through the page cache and past it, into space that holds zeros already and
// into a file that grows.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{4 << 10, 28 << 10, 104 << 10, 2 << 20} {
		for _, way := range []string{"growing", "growing, direct", "zeroed", "zeroed, direct"} {
			b.Run(fmt.Sprintf("%d bytes, %s", size, way), func(b *testing.B) {
				benchmarkWrite(b, size, way == "zeroed" || way == "zeroed, direct", way == "growing, direct" || way == "zeroed, direct")
			})
		}
	}
}

func benchmarkWrite(b *testing.B, size int, zeroed, direct bool) {
	name := filepath.Join(b.TempDir(), "log")
	file, err := durable.OS.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	const room = 256 << 20
	if zeroed {
		for at := int64(0); at < room; at += 1 << 20 {
			if _, err := file.WriteAt(make([]byte, 1<<20), at); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := file.Sync(); err != nil {
		b.Fatal(err)
	}
	to := file
	if direct {
		fsys, ok := durable.OS.(durable.DirectOpener)
		if !ok {
			b.Skip("the system cannot write past the page cache")
		}
		if to, err = fsys.OpenDirect(name); err != nil {
			b.Skip(err)
		}
		defer to.Close()
	}
	piece := durable.Blocks(size)
	for i := range piece {
		piece[i] = byte(i)
	}
	at := int64(0)
	for b.Loop() {
		if at+int64(size) > room {
			at = 0
		}
		if _, err := to.WriteAt(piece, at); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		at += int64(size)
	}
}
