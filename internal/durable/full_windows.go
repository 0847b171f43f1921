package durable

import "golang.org/x/sys/windows"

var fullErrors = []error{
	windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED, windows.ERROR_FILE_TOO_LARGE,
}

var readOnlyErrors = []error{windows.ERROR_WRITE_PROTECT}
