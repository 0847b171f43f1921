package azureblob

// WithBlocks returns options for a service whose blobs take so many blocks.
func WithBlocks(options Options, blocks int) *Options {
	options.blocks = blocks
	return &options
}

// Frame returns the frame of a payload.
func Frame(key uint32, payload []byte) []byte { return appendFrame(nil, key, payload) }
