package durable

import (
	"errors"
	"io/fs"
	"slices"
)

// IsFull reports whether err says that there is no room for more: on the disk,
// in what a user may take of it, or in a file, which may not be larger.
// Something else may succeed, and the same later.
func IsFull(err error) bool {
	return slices.ContainsFunc(fullErrors, func(full error) bool { return errors.Is(err, full) })
}

// IsReadOnly reports whether err says that a file or directory cannot be
// written by this program: it lies on read-only media, or the program may not.
func IsReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || slices.ContainsFunc(readOnlyErrors, func(e error) bool { return errors.Is(err, e) })
}
