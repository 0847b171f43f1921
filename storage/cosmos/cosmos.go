// Package cosmos keeps a store in a container of Azure Cosmos DB for NoSQL, in
// the layout of Finaps.EventSourcing: what that library has written can be read
// and gone on with, and it reads what Daybook writes. See the README beside it.
// It has not yet run against Cosmos: it is written by the documentation, and
// tested against a double of the service.
//
// A partition of the store is a logical partition of the container. An append
// to it is one batch under the ETag of an item that every append replaces: so
// check and write are one step, and the appends of a partition have one order.
// The order of the whole log is kept in the default partition; an append to
// another partition is put into it by a second batch, before it is
// acknowledged.
package cosmos

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/daybook-go/daybook"
)

// Driver is a store in a container of Cosmos DB.
type Driver struct {
	client    *azcosmos.Client
	container *azcosmos.ContainerClient
	options   Options
	meter     *meter
	session   session
	entries   entryCache
	bell      bell

	life   context.Context // ends with Close, when no call runs any more
	end    context.CancelFunc
	closed chan struct{} // closed when Close begins

	mu      sync.Mutex // guards all below
	over    bool
	calls   sync.WaitGroup // what runs; added to only before over is set
	queues  map[string]*queue
	touched map[string]bool // partitions that were looked at where writes go
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Create makes the database and the container where they are missing. It
	// needs the key of the account: a role of the data plane may not.
	Create bool
	// NoAdoption keeps Open from looking for events that Finaps's library has
	// written, and from putting them into the log.
	NoAdoption bool
	// NoMembers keeps the members of events' data from being written a second
	// time beside them, where Finaps's library looks for them. They are written
	// for streams named "Type-GUID" only, and where the data of the append have
	// at most 256 KiB.
	NoMembers bool
	// Poll is how often those who wait for the log to grow look for what other
	// processes append. Default 500 ms.
	Poll time.Duration
	// Patience is how long a call goes on trying where the service throttles,
	// is not there, or answers are lost. Default 30 s.
	Patience time.Duration
	// Grace is how long an append of a condition to another partition than the
	// default one may hold the log, before others take it for dead. Default 2 s.
	Grace time.Duration
	// PreferredRegions are those to read from, nearest first. The account must
	// take writes in one region only.
	PreferredRegions []string
	// HTTP sends the requests. Default: the client of the SDK.
	HTTP *http.Client
	// Observe is called after every request, from any goroutine. Default:
	// nobody; see also Driver.Usage.
	Observe func(Request)
	// Now is the clock of the recorded times. Default time.Now. Where it jumps
	// back, recorded times stand still until it has caught up.
	Now func() time.Time
	// Logger is told what is repaired or repeated. Default: nobody.
	Logger *slog.Logger
}

// Open opens the store in the container that a URL names:
// "cosmos:AccountEndpoint=https://…;AccountKey=…;Database=…;Container=…" with
// the key of the account, or
// "cosmos://ACCOUNT.documents.azure.com/DATABASE/CONTAINER" with the identity
// of the environment. The partition key of the container is /PartitionId.
//
// Events that Finaps's library has written are put into the log by the times
// that they tell, unless Options say otherwise.
func Open(ctx context.Context, url string, options *Options) (*Driver, error) {
	at, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	d := &Driver{closed: make(chan struct{}), queues: map[string]*queue{}, touched: map[string]bool{}}
	if options != nil {
		d.options = *options
	}
	d.setDefaults()
	d.meter = &meter{observe: d.options.Observe, session: &d.session}
	d.life, d.end = context.WithCancel(context.Background())
	d.bell.driver = d
	if err := d.connect(ctx, at); err != nil {
		d.end()
		return nil, err
	}
	if err := d.prepare(ctx, at); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Driver) setDefaults() {
	o := &d.options
	if o.Poll <= 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Grace <= 0 {
		o.Grace = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// clientOptions are those of the SDK: it must not repeat anything by itself,
// since a batch that was carried out, and whose answer was lost, is looked for
// first.
func (d *Driver) clientOptions() *azcosmos.ClientOptions {
	o := &azcosmos.ClientOptions{PreferredRegions: d.options.PreferredRegions}
	o.Retry = policy.RetryOptions{MaxRetries: -1}
	o.Telemetry.ApplicationID = "daybook"
	o.PerRetryPolicies = []policy.Policy{d.meter}
	if d.options.HTTP != nil {
		o.Transport = d.options.HTTP
	}
	return o
}

// connect makes the client. One that cannot reach the account at its first
// request answers every other one with that error for minutes, so it is made
// anew until the first request is answered.
func (d *Driver) connect(ctx context.Context, at place) error {
	return d.again(ctx, "connect", false, func() (err error) {
		if d.client, err = at.client(d.clientOptions()); err != nil {
			return fmt.Errorf("%w: %w", daybook.ErrRefused, err)
		}
		if d.container, err = d.client.NewContainer(at.database, at.container); err == nil {
			_, err = d.container.ReadItem(ctx, azcosmos.NewPartitionKeyString(partitionID("")), headID, nil)
		}
		if statusOf(err) == http.StatusNotFound { // whatever is missing, the account is there
			return nil
		}
		if err != nil {
			d.client.Close()
		}
		return err
	})
}

// prepare makes the container if that is wanted, looks whether it is one that
// can be used, and takes in what Finaps's library has written.
func (d *Driver) prepare(ctx context.Context, at place) error {
	if d.options.Create {
		if err := d.create(ctx, at); err != nil {
			return err
		}
	}
	if err := d.touch(ctx, ""); err != nil {
		return err
	}
	if d.options.NoAdoption {
		return nil
	}
	return d.Adopt(ctx)
}

// Name returns "cosmos".
func (d *Driver) Name() string { return "cosmos" }

// Close lets running calls end and releases what the driver holds.
func (d *Driver) Close() error {
	d.mu.Lock()
	was := d.over
	d.over = true
	d.mu.Unlock()
	if was {
		return nil
	}
	close(d.closed)
	d.calls.Wait()
	d.end()
	d.client.Close()
	return nil
}

// begin lets a call run that Close waits for; the caller calls d.calls.Done.
func (d *Driver) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return daybook.ErrClosed
	}
	d.calls.Add(1)
	return nil
}

// clock returns the time to record at.
func (d *Driver) clock() time.Time { return daybook.Microseconds(d.options.Now()) }

func (d *Driver) unsupported(feature string) error {
	return &daybook.UnsupportedError{Driver: d.Name(), Feature: feature}
}
