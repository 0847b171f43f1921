//go:build !darwin && !dragonfly && !freebsd && !illumos && !linux && !netbsd && !openbsd && !windows

package durable

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// lock fails: a store without a lock could be written by two processes.
func lock(*os.File, bool) error {
	return fmt.Errorf("locking a file on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
