package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockedByte is the byte of the file that is locked: far behind what the file
// holds, because on Windows nobody else can read a byte that is locked.
const lockedByte = 1 << 30

// lock takes the lock on an open file without waiting: for itself alone, or
// shared with others that only look whether it is free.
func lock(f *os.File, alone bool) error {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{Offset: lockedByte})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}
