package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is where something was measured.
type Machine struct {
	Processor  string
	Cores      int
	Memory     int64 // bytes
	Kernel     string
	FileSystem string        // of the folder that was written to
	Sync       time.Duration // the median of a write of 4 KiB and its fdatasync, into zeroed space
	Go         string
	// InMemory is set when the file system keeps nothing: figures of appends
	// then mean nothing.
	InMemory bool
}

// fileSystems are the names of the magic numbers that statfs tells.
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs", unix.RAMFS_MAGIC: "ramfs",
}

// LookAround returns what there is to know about this machine and the disk
// under a folder, which must exist.
func LookAround(dir string) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Processor: "unknown"}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.Processor = fieldOf(info, "model name", m.Processor)
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(fieldOf(info, "MemTotal", "0"), " kB"), 10, 64)
		m.Memory = kilobytes << 10
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return Machine{}, err
	}
	kind := int64(stat.Type)
	m.InMemory = kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
	if m.FileSystem = fileSystems[kind]; m.FileSystem == "" {
		m.FileSystem = fmt.Sprintf("file system %#x", kind)
	}
	var err error
	m.Sync, err = syncTime(dir)
	return m, err
}

// fieldOf returns the value of the first line "name : value".
func fieldOf(info []byte, name, otherwise string) string {
	for line := range bytes.Lines(info) {
		if key, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

// syncTime returns how long a small write and its sync take.
func syncTime(dir string) (time.Duration, error) {
	const pieces, size = 200, 4096
	file, err := os.Create(filepath.Join(dir, "sync-time"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(make([]byte, pieces*size)); err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	took := make([]time.Duration, pieces)
	piece := bytes.Repeat([]byte{1}, size)
	for i := range took {
		start := time.Now()
		if _, err := file.WriteAt(piece, int64(i*size)); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[pieces/2], nil
}

// String describes the machine in one line.
func (m Machine) String() string {
	text := fmt.Sprintf("%s, %d cores, %.0f GiB, %s, %s, a write and fdatasync of 4 KiB takes %s, %s",
		m.Processor, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, m.FileSystem, duration(float64(m.Sync)), m.Go)
	if m.InMemory {
		text += ". THE FILE SYSTEM IS IN MEMORY: figures of appends mean nothing"
	}
	return text
}
