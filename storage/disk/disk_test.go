package disk_test

import (
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func TestDiskKeepsEveryPromise(t *testing.T) {
	storagetest.RunDurable(t, durableDriver(nil))
}

// Small segments make the same promises cross the borders of files.
func TestSmallSegmentsKeepEveryPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("the same suite again")
	}
	storagetest.RunDurable(t, durableDriver(&disk.Options{SegmentBytes: 1, FS: lazy}))
}

func durableDriver(options *disk.Options) func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
	return func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		dir := t.TempDir()
		reopen := func() daybook.Driver { return open(t, dir, options) }
		return reopen(), reopen
	}
}

// open opens a store that the test closes.
func open(t *testing.T, dir string, options *disk.Options) *disk.Driver {
	t.Helper()
	driver, err := disk.Open(dir, options)
	if err != nil {
		t.Fatalf("open %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Errorf("close %s: %v", dir, err)
		}
	})
	return driver
}
