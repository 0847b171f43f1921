package durable

// syncDir does nothing: Windows cannot sync a directory, and NTFS journals what
// happens to names in the order in which it happens.
func syncDir(string) error { return nil }
