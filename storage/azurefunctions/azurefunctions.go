// Package azurefunctions reads what the .NET library EventsSourcing on Azure
// Functions has written: the tables and append blobs of a storage account. It
// is there to import from, and to look into: every append is answered with
// daybook.ErrReadOnly. The account is never written.
//
// A store is read when it is opened, once and whole, into a file for the time
// being; what is written meanwhile is not seen until it is opened again.
//
// An entity of the library is a stream: its domain is the partition, its type
// and its key, with a "-" between them, the name. Of each event are kept:
//
//	type        its name; "unnamed" where it has none
//	data        a JSON object: the columns of the row by their names, or the
//	            event as it stands in the blob
//	context     who, source, commentary, correlation, schema; the cause where it
//	            was written; the number of the event, and the version of its
//	            form, in the metadata: {"sequence":7,"version":2}
//	occurred    WriteTime of a blob's event, the time of a table's row
//	recorded    the same, but never before the event in front of it
//
// The library leaves gaps between the numbers of events where a write was
// refused; versions have none. Entities that are being deleted are passed over.
//
// The library has no order over entities. Here it is that of the recorded
// times, and of partition, name and version where those are the same. It is the
// same at every reading, and what is written later stands behind, as far as the
// clocks of the service agree. Ids of events and appends follow from the names
// and numbers, so they are the same each time too.
package azurefunctions

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/daybook-go/daybook"
)

// Options of Open. Nil and zero fields mean the defaults.
type Options struct {
	// Dir is the directory of the file that the events are read into; it needs
	// as much room as they have, and the file is removed by Close. Default
	// os.TempDir.
	Dir string
	// Progress is called now and then while Open reads, with the number of
	// events so far, in the goroutine of the caller.
	Progress func(events int64)
}

// Driver is an account that was read.
type Driver struct {
	events *events

	mu     sync.Mutex
	closed bool // guarded by mu
}

// Open reads the store at a URL, either of
//
//	azuretable-functions:CONNECTION-STRING;Domain=NAME
//	azuretable-functions:CONNECTION-STRING;Domain=NAME;Only=tables
//
// The connection string is that of the account, with a key or a signature that
// may list and read; BlobEndpoint and TableEndpoint are taken from it where they
// stand there. Without Domain all domains are read. Only=tables, or blobs, leaves
// the other out: for an account that has one of the two services, and for
// entities that stand in both.
//
// *daybook.InvalidError for a URL that is wrong, and for an entity that stands
// in a table and in a blob; *daybook.CorruptError for what the library cannot
// have written. No error shows a key.
func Open(ctx context.Context, url string, options *Options) (*Driver, error) {
	var settings Options
	if options != nil {
		settings = *options
	}
	if settings.Progress == nil {
		settings.Progress = func(int64) {}
	}
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(settings.Dir, "daybook-import-*")
	if err != nil {
		return nil, err
	}
	e := newEvents(file, settings.Progress)
	if err := a.read(ctx, e); err != nil {
		e.remove()
		return nil, err
	}
	return &Driver{events: e}, nil
}

// read reads what an address names.
func (a *address) read(ctx context.Context, into *events) error {
	if a.tables {
		client, err := a.tableClient()
		if err != nil {
			return err
		}
		if err := (&tables{client: client, domain: a.domain, into: into}).read(ctx); err != nil {
			return fmt.Errorf("tables: %w", err)
		}
	}
	if a.blobs {
		client, err := a.blobClient()
		if err != nil {
			return err
		}
		if err := (&blobs{client: client, domain: a.domain, into: into}).read(ctx); err != nil {
			return fmt.Errorf("blobs: %w", err)
		}
	}
	return into.settle()
}

// Name returns "azure-functions".
func (d *Driver) Name() string { return "azure-functions" }

// Append answers daybook.ErrReadOnly.
func (d *Driver) Append(context.Context, daybook.Append) (daybook.Receipt, error) {
	if d.isClosed() {
		return daybook.Receipt{}, daybook.ErrClosed
	}
	return daybook.Receipt{}, daybook.ErrReadOnly
}

// Close removes the file that the events were read into.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.events.remove()
}

func (d *Driver) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}
