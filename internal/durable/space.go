package durable

// Spacer is a file system that knows how much room there is.
type Spacer interface {
	// Free returns how many bytes can still be written where dir is, by who asks.
	// It matches errors.ErrUnsupported where nobody knows.
	Free(dir string) (int64, error)
}
