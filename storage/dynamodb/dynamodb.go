// Package dynamodb keeps a store in a table of Amazon DynamoDB: the table of
// the Elastic Event Store (EES) as it is. A table that EES has filled is opened
// and continued, and what is written can be read by EES's rules.
//
// An append is one transaction: it creates the next page of the log and writes
// every row that the page leads to, so nothing is left to be done afterwards
// and no process has to run. README.md draws the rows, and says what they cost.
package dynamodb

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// Driver is a store in a table of DynamoDB. Its methods are those of
// daybook.Driver and of what goes beside it, but for deleting.
type Driver struct {
	*globalorder.Engine
	table *table
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Config is where the SDK takes region, credentials and HTTP client from; the
	// region and endpoint of the URL go before it. Default: what the SDK finds in
	// the environment, in the files of the user, and of the machine.
	Config *aws.Config
	// Migrate makes the table, as Migrate does, where there is none.
	Migrate *Table
	// Now is the clock of the recorded times. Default time.Now.
	Now func() time.Time
	// Poll is how often the table is asked while somebody waits for the log to
	// grow: each time costs one read unit. Default 250 ms.
	Poll time.Duration
	// Patience is how long an append whose outcome is not known is tried again.
	// Default 30 s.
	Patience time.Duration
	// Attempts is how often a request is sent before it fails: where the service
	// is busy or does not answer. Default 8, with pauses up to 5 s in between.
	Attempts int
	// RequestTimeout is how long the answer to one attempt is waited for. Default
	// 15 s.
	RequestTimeout time.Duration
	// Attempt is told of every request that was sent: what it cost, and whether it
	// has to be sent again. Default: nobody, and the service is not asked what a
	// request has cost. It is called by many goroutines at once.
	Attempt func(ctx context.Context, a Attempt)
	// Logger is told what is taken in from EES, and what is wrong with it.
	// Default: nobody.
	Logger *slog.Logger
}

// Open opens the store in the table that a URL names: dynamodb://REGION/TABLE,
// with ?endpoint=URL where it is not the service of that region. Credentials
// come from the environment, as the SDK has it, never from the URL.
//
// Changesets of EES that are not in the log yet are taken in by the first call
// that reads or writes, if the log is empty; see Driver.Adopt for those that
// come later.
func Open(ctx context.Context, address string, options *Options) (*Driver, error) {
	t, err := connect(ctx, address, options)
	if err != nil {
		return nil, err
	}
	if t.options.Migrate != nil {
		_, err = t.migrate(ctx, t.options.Migrate)
	} else {
		_, err = t.inspect(ctx)
	}
	if err != nil {
		return nil, err
	}
	engine := globalorder.New("dynamodb", t, &globalorder.Options{
		Now: t.options.Now, Poll: t.options.Poll, Patience: t.options.Patience, PageBytes: pageBytes, PageRows: pageRows,
	})
	return &Driver{Engine: engine, table: t}, nil
}

// What a page may amount to, so that it and all of its rows fit into one
// transaction: 100 items and 4 MB. Data that is no JSON grows by a third in the
// row of its changeset. Besides the rows there are up to three items of the
// page, four of changesets that are too large for one item, the counter and the
// block.
const (
	pageBytes = 1 << 20
	pageRows  = 88

	transactionItems = 100
	transactionBytes = 4 << 20
)

// tries is how often an append is begun again behind changesets that EES has
// written, before it fails: each time there were new ones.
const tries = 10

// Append is that of daybook.Driver. Where EES has written into a stream
// meanwhile, that is taken in first, and the append decided again.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	for try := 1; ; try++ {
		receipt, err := d.Engine.Append(ctx, a)
		again, err := d.adoptAndRetry(ctx, err, try, streamsOf(a))
		if !again {
			return receipt, err
		}
	}
}

// Import is that of daybook.Importer.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	return d.Engine.Import(ctx, changesets)
}

func streamsOf(a daybook.Append) []daybook.StreamID {
	streams := make([]daybook.StreamID, len(a.Changesets))
	for i := range a.Changesets {
		streams[i] = a.Changesets[i].Stream
	}
	return streams
}
