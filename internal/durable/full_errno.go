//go:build !windows && !plan9

package durable

import "syscall"

var fullErrors = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

// readOnlyErrors are besides those that match fs.ErrPermission.
var readOnlyErrors = []error{syscall.EROFS}
