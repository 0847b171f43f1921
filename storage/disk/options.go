package disk

import (
	"log/slog"
	"time"

	"github.com/daybook-go/daybook/internal/durable"
)

// FS is the file system under a store, and File a file of it. They are there
// to be replaced in tests; a store that is used runs on the default.
type (
	FS   = durable.FS
	File = durable.File
)

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// ReadOnly opens a store that is there for reading. That takes no lock and
	// writes nothing, and is possible while another process writes: what it
	// appends is seen. Appends answer daybook.ErrReadOnly.
	ReadOnly bool
	// SegmentBytes is how large a segment may grow before the next is begun;
	// one append never spans two, so a larger append has one of its own.
	// Default 64 MiB, at least 1 KiB.
	SegmentBytes int64
	// PollInterval is how often Wait looks for what another process appended.
	// It is used in a store that is opened for reading only. Default 20 ms.
	PollInterval time.Duration
	// Now is the clock of the recorded times. Default time.Now. Where it jumps
	// back, recorded times stand still until it has caught up.
	Now func() time.Time
	// Logger is told what opening recovered and dropped, and of a write that
	// failed. Default: nobody.
	Logger *slog.Logger
	// FS is the file system. Default: that of the machine.
	FS FS
}

// withDefaults returns a copy of o, which may be nil, with nothing left out.
func (o *Options) withDefaults() Options {
	var filled Options
	if o != nil {
		filled = *o
	}
	if filled.SegmentBytes <= 0 {
		filled.SegmentBytes = 64 << 20
	}
	filled.SegmentBytes = max(filled.SegmentBytes, 1<<10)
	if filled.PollInterval <= 0 {
		filled.PollInterval = 20 * time.Millisecond
	}
	if filled.Now == nil {
		filled.Now = time.Now
	}
	if filled.Logger == nil {
		filled.Logger = slog.New(slog.DiscardHandler)
	}
	if filled.FS == nil {
		filled.FS = durable.OS
	}
	return filled
}
