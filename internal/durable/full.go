package durable

import (
	"errors"
	"slices"
)

// IsFull reports whether err says that there is no room for more: on the disk,
// in what a user may take of it, or in a file, which may not be larger.
// Something else may succeed, and the same later.
func IsFull(err error) bool {
	return slices.ContainsFunc(fullErrors, func(full error) bool { return errors.Is(err, full) })
}
