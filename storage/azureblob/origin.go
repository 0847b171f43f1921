package azureblob

import (
	"context"
	"errors"
	"io"
)

// origin is where a log lives: in append blobs, or in a file. Whether one of
// its calls failed for good errors.go says.
type origin interface {
	// survey tells the parts of the log, in their order.
	survey(ctx context.Context) ([]extent, error)
	// read gives the bytes of a named part from an offset on: errMissing where
	// there is no such part.
	read(ctx context.Context, name string, offset int64) (*piece, error)
	// append adds a block to a part, which must end at the offset: errMoved
	// where it does not, errFull where the part takes no more blocks,
	// errMissing where there is no such part. It tells whether the part is full
	// now.
	append(ctx context.Context, part int, offset int64, block []byte) (full bool, err error)
	// create makes a part where there is none.
	create(ctx context.Context, part int) error
	// name returns that of a part.
	name(part int) string
	// last is the highest number of a part.
	last() int
}

// extent is a piece of a log that has a name: a part, or several in one.
type extent struct {
	name   string
	part   int // the last one that it holds
	length int64
}

// piece is what a read gives.
type piece struct {
	io.ReadCloser
	length int64 // of the whole part when it was read; -1 where that was not told
	full   bool  // the part takes no more blocks
}

// What an origin answers besides success and failure.
var (
	errMoved   = errors.New("the log ends elsewhere")
	errFull    = errors.New("the part takes no more blocks")
	errMissing = errors.New("there is no such part")
)
