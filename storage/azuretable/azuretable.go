// Package azuretable keeps a store in a table of Azure Storage. Open opens one
// by its URL, and creates the table where it is missing. Any number of processes
// may use a table at once; none has to run all the time.
//
// A record is a row of MessageHandler's layout: its partition is the type of its
// stream, its row key the stream's key and the version. Such a table that was
// written without Daybook is taken over when it is first opened; its library can
// go on reading, and must not write any more.
//
// The order of all records is that of internal/globalorder. README.md draws the
// layout, and tells requests, limits and rights.
package azuretable

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Credential is who asks, where the URL holds neither key nor signature.
	// Default azidentity.NewDefaultAzureCredential: the environment, a managed
	// identity, the tools of a developer.
	Credential azcore.TokenCredential
	// ReadOnly refuses appends with daybook.ErrReadOnly and writes nothing, no
	// table either. A table that was written without Daybook cannot be read so
	// before it was taken over.
	ReadOnly bool
	// Client sends requests. Default http.DefaultTransport with a pool for 64
	// connections to the service.
	Client *http.Client
	// Now is the clock of the recorded times. Default time.Now.
	Now func() time.Time
	// Poll is how often the table is asked while somebody waits for the log to
	// grow. Each costs a request. Default 500 ms.
	Poll time.Duration
	// Patience is how long an append whose outcome is not known is tried again
	// before it is answered with an error. Default 30 s.
	Patience time.Duration
	// Timeout is how long one request may take before it is sent again. Default
	// 30 s.
	Timeout time.Duration
}

// Driver is a store in a table.
type Driver struct {
	*globalorder.Engine
}

// Open opens the store in a table, and creates the table where it is missing.
// The URL is azuretable: and a connection string with Table=NAME at its end, or
// azuretable://ACCOUNT.table.core.windows.net/TABLE, with a shared access
// signature as its query or with Options.Credential. Errors hold no secrets.
func Open(ctx context.Context, url string, options *Options) (*Driver, error) {
	var o Options
	if options != nil {
		o = *options
	}
	if o.Poll <= 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	s := &storage{}
	// A creation that the SDK sends again by itself might be refused where its
	// first attempt was carried out: so the engine does that, who knows.
	if s.once, err = a.client(&o, -1); err != nil {
		return nil, err
	}
	if s.table, err = a.client(&o, 4); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, !o.ReadOnly); err != nil {
		return nil, err
	}
	return &Driver{globalorder.New("azuretable", s, &globalorder.Options{
		Now: o.Now, Poll: o.Poll, Patience: o.Patience, PageBytes: pageBytes, ReadOnly: o.ReadOnly, Durability: daybook.DurabilityCloud,
	})}, nil
}

func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &http.Client{Transport: transport}
}

// client returns a client that tries a request again so many times.
func (a *address) client(o *Options, retries int32) (*aztables.Client, error) {
	options := &aztables.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: o.Client, PerRetryPolicies: []policy.Policy{batchPolicy{}},
		Retry: policy.RetryOptions{MaxRetries: retries, TryTimeout: o.Timeout, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: 5 * time.Second},
	}}
	var service *aztables.ServiceClient
	var err error
	switch {
	case a.key != "":
		var credential *aztables.SharedKeyCredential
		if credential, err = aztables.NewSharedKeyCredential(a.account, a.key); err != nil {
			return nil, badURL("AccountKey is no key")
		}
		service, err = aztables.NewServiceClientWithSharedKey(a.endpoint, credential, options)
	case a.signature != "":
		service, err = aztables.NewServiceClientWithNoCredential(a.endpoint+"/?"+a.signature, options)
	default:
		credential := o.Credential
		if credential == nil {
			if credential, err = azidentity.NewDefaultAzureCredential(nil); err != nil {
				return nil, err
			}
		}
		service, err = aztables.NewServiceClient(a.endpoint, credential, options)
	}
	if err != nil {
		return nil, badURL("its endpoint cannot be read")
	}
	return service.NewClient(a.table), nil
}

// begin looks whether the table can be read, and creates it where it is missing
// and may be.
func (s *storage) begin(ctx context.Context, creates bool) error {
	_, err := s.Last(ctx)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != codeNoTable || !creates {
		return err
	}
	if _, err := s.table.CreateTable(ctx, nil); err != nil {
		var response *azcore.ResponseError
		if errors.As(err, &response) && response.ErrorCode == string(aztables.TableAlreadyExists) {
			return nil
		}
		return explained(err)
	}
	return nil
}
