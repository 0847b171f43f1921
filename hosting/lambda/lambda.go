// Package lambda runs a store as functions of AWS Lambda.
//
// One [Function] is all that a deployment needs: it answers HTTP requests that
// come as events (of an HTTP API, of a REST proxy, of a function URL), brings
// the order of the log up to date and publishes what is new when a stream of
// the table starts it, and tells what the store holds when a schedule does. What
// an event is can be seen by its shape; [Options.Role] makes a function take one
// kind only, so that each deployed function can have the few permissions that
// its part needs. [Start] serves the runtime of Lambda. docs/lambda.md shows a
// deployment, "daybook lambda" is this package as a program.
package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel"
	"github.com/daybook-go/daybook/httpapi"
)

// Role is the part that a function plays.
type Role string

// The roles of functions.
const (
	RoleAny        Role = ""           // whatever the event asks for
	RoleAPI        Role = "api"        // answers HTTP requests
	RoleIndexer    Role = "indexer"    // started by a stream of the table
	RolePublisher  Role = "publisher"  // started by a stream of the table, or a schedule
	RoleStatistics Role = "statistics" // started by a schedule
)

// Options of a Function. Nil and zero fields mean the defaults.
type Options struct {
	// Role is the part that the function plays. Default RoleAny.
	Role Role
	// BasePath is what stands in front of all paths, as a mapping of a domain
	// adds it: "/store". Default none. The name of a stage is known, and need
	// not be given.
	BasePath string
	// Publish is where changesets go, Checkpoints is where the place behind the
	// published ones is kept, and Publisher by which name. Default: nothing is
	// published; "publisher".
	Publish     channel.Channel
	Checkpoints channel.Checkpoints
	Publisher   string
	// API are the options of HTTP. Replies leave as a whole, and a wait is 20 s
	// at most, whatever they say.
	API httpapi.Options
	// Metrics takes metrics, as a line of JSON in the embedded format of
	// CloudWatch for each run of the statistics. Default standard output, which
	// Lambda hands to CloudWatch.
	Metrics io.Writer
	// Label tells the metrics of several stores apart. Default "daybook".
	Label string
	// Logger takes what operators should know. Default slog.Default().
	Logger *slog.Logger
	// Now is the clock of metrics and deadlines. Default time.Now.
	Now func() time.Time
}

// margin is how long before the end of its time a function stops work that it
// may leave to the next one.
const margin = 5 * time.Second

// farewell is how long before the end of its time an answer to a request must
// be ready.
const farewell = 500 * time.Millisecond

// Indexer is what a storage offers whose order is brought up to date by the
// stream of its table.
type Indexer interface {
	// Index takes the event of a DynamoDB stream, as Lambda hands it over. It
	// may be called again with the same.
	Index(ctx context.Context, event []byte) (changesets int, err error)
}

// Function answers the events of Lambda. It may be used by many goroutines at
// once.
type Function struct {
	store   *daybook.Store
	indexer Indexer // nil: the storage needs none
	api     *httpapi.Handler
	options Options
	running sync.RWMutex // is read-locked by each event that is being answered
}

// New returns a function on store, whose driver is given besides since an
// Indexer is asked of it. *daybook.InvalidError for a role that is none, or one
// that lacks what it needs.
func New(store *daybook.Store, driver daybook.Driver, options *Options) (*Function, error) {
	f := &Function{store: store}
	if options != nil {
		f.options = *options
	}
	o := &f.options
	switch o.Role {
	case RoleAny, RoleAPI, RoleIndexer, RolePublisher, RoleStatistics:
	default:
		return nil, &daybook.InvalidError{Field: "role", Value: string(o.Role), Reason: "must be api, indexer, publisher or statistics"}
	}
	if o.Role == RolePublisher && o.Publish == nil {
		return nil, &daybook.InvalidError{Field: "role", Value: string(o.Role), Reason: "needs a topic to publish to"}
	}
	if o.Publish != nil && o.Checkpoints == nil {
		return nil, &daybook.InvalidError{Field: "checkpoints", Value: "none", Reason: "a publisher must have a place to keep its checkpoint"}
	}
	o.Publisher = cmp.Or(o.Publisher, "publisher")
	o.Label = cmp.Or(o.Label, "daybook")
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = os.Stdout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f.indexer, _ = driver.(Indexer)
	api := o.API
	api.WholeReplies = true
	api.MaxWait = 20 * time.Second
	api.MaxPageBytes = cmp.Or(min(api.MaxPageBytes, largestPage), largestPage)
	api.Logger = o.Logger
	f.api = httpapi.New(store, &api)
	return f, nil
}

// Start answers the events of the runtime until ctx ends, and those that are
// being answered then. It is called once in a process, which should end after it.
func Start(ctx context.Context, f *Function) {
	go lambda.StartWithOptions(f, lambda.WithContext(context.WithoutCancel(ctx)))
	<-ctx.Done()
	f.running.Lock() // for ever: no other event is begun
}

// event is what tells the kinds of events apart.
type event struct {
	HTTPMethod     string `json:"httpMethod"`
	RequestContext struct {
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`
	Records    []streamRecord `json:"Records"`
	Source     string         `json:"source"`
	DetailType string         `json:"detail-type"`
}

// Invoke answers one event. An error means that the event was not dealt with;
// Lambda hands it in again where it does so for that kind.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f.running.RLock()
	defer f.running.RUnlock()
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("the event is not what Lambda sends: %w", err)
	}
	switch {
	case e.HTTPMethod != "" || e.RequestContext.HTTP.Method != "":
		if f.plays(RoleAPI) {
			return f.answer(ctx, payload)
		}
	case len(e.Records) > 0 && e.Records[0].EventSource == "aws:dynamodb":
		if f.plays(RoleIndexer) || f.plays(RolePublisher) {
			return f.changed(ctx, payload, e.Records)
		}
	case e.Source == "aws.events" || e.Source == "aws.scheduler" || e.DetailType == "Scheduled Event":
		if f.plays(RolePublisher) || f.plays(RoleStatistics) {
			return f.scheduled(ctx)
		}
	default:
		return nil, fmt.Errorf("the event is of no kind that is known: a request over HTTP, a batch of a DynamoDB stream, or a schedule")
	}
	return nil, fmt.Errorf("the function has the role %q, which this kind of event is not for", f.options.Role)
}

// plays reports whether the function does what a role does.
func (f *Function) plays(role Role) bool {
	return f.options.Role == RoleAny || f.options.Role == role
}

// scheduled publishes what was left over, and tells what the store holds.
func (f *Function) scheduled(ctx context.Context) ([]byte, error) {
	if f.plays(RolePublisher) && f.options.Publish != nil {
		if _, err := f.publish(ctx); err != nil {
			return nil, err
		}
	}
	if !f.plays(RoleStatistics) {
		return []byte("{}"), nil
	}
	return f.statistics(ctx)
}
