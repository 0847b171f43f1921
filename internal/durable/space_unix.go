//go:build linux || darwin || freebsd

package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

func (system) Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
