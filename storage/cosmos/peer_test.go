package cosmos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// serverVariable names another server that speaks as Cosmos DB does
// (scripts/services start cosmosserver). It has no batches and no change feed, so
// that the driver cannot run on it, but the double can be compared with it.
const serverVariable = "DAYBOOK_COSMOS_SERVER"

// serverURL returns where the other server is, and skips the test where it is
// nowhere.
func serverURL(t *testing.T) string {
	t.Helper()
	endpoint := os.Getenv(serverVariable)
	if endpoint == "" {
		t.Skipf("NOT TESTED: the double of Cosmos DB against another server, since %s names none (scripts/services start cosmosserver)", serverVariable)
	}
	return endpoint
}

// peer is the double or the other server, with a database of its own. It asks
// by the SDK; what that does not say the headers of asked add.
type peer struct {
	client    *azcosmos.Client
	database  *azcosmos.DatabaseClient
	container *azcosmos.ContainerClient
	name      string                   // of the database
	etags     map[string][]azcore.ETag // of items, by partition and id
	put       map[string]string        // items that putting has created, the same
}

// newPeer makes a database with a container at an endpoint.
func newPeer(t *testing.T, endpoint string) *peer {
	t.Helper()
	base, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	key, err := azcosmos.NewKeyCredential(doubleKey)
	if err != nil {
		t.Fatal(err)
	}
	options := &azcosmos.ClientOptions{}
	options.Retry = policy.RetryOptions{MaxRetries: -1}
	options.Transport = &direct{base: base}
	p := &peer{name: fmt.Sprintf("peer-%x", rand.Uint64()), etags: map[string][]azcore.ETag{}, put: map[string]string{}}
	if p.client, err = azcosmos.NewClientWithKey(endpoint+"/", key, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	if _, err = p.client.CreateDatabase(t.Context(), azcosmos.DatabaseProperties{ID: p.name}, nil); err != nil {
		t.Fatal(err)
	}
	if p.database, err = p.client.NewDatabase(p.name); err != nil {
		t.Fatal(err)
	}
	p.use(t, "items")
	return p
}

// use makes another container and asks that from now on.
func (p *peer) use(t *testing.T, container string) {
	t.Helper()
	properties := azcosmos.ContainerProperties{ID: container, PartitionKeyDefinition: byPartitionID}
	_, err := p.database.CreateContainer(t.Context(), properties, nil)
	if err == nil {
		p.container, err = p.database.NewContainer(container)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var byPartitionID = azcosmos.PartitionKeyDefinition{Paths: []string{"/PartitionId"}, Kind: azcosmos.PartitionKeyKindHash, Version: 2}

// direct sends every request to one place: the other server says that it speaks
// TLS, which it does not.
type direct struct{ base *url.URL }

// headersKey leads to the headers that a request has beside those of the SDK,
// in its context; one without a value is taken away.
type headersKey struct{}

func (d *direct) Do(r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host, r.Host = d.base.Scheme, d.base.Host, d.base.Host
	headers, _ := r.Context().Value(headersKey{}).(map[string]string)
	for name, value := range headers {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	return http.DefaultClient.Do(r)
}

// ask asks a peer for something, and returns what it answers, in short.
type ask func(ctx context.Context, p *peer) string

// with adds headers to a request.
func with(headers map[string]string, a ask) ask {
	return func(ctx context.Context, p *peer) string { return a(context.WithValue(ctx, headersKey{}, headers), p) }
}

// The ETags of an item of a partition that a request can name.
const (
	anyETag   = iota
	thisETag  // the one that it has
	staleETag // the one before
)

func (p *peer) match(partition, id string, which int) *azcore.ETag {
	known := p.etags[partition+" "+id]
	if which == anyETag {
		return nil
	}
	if len(known) < which {
		return new(azcore.ETag("none"))
	}
	return &known[len(known)-which]
}

// write asks for an item to be created, replaced or upserted.
func write(verb, partition, id, text string, which int) ask {
	return func(ctx context.Context, p *peer) string {
		key := azcosmos.NewPartitionKeyString(partition)
		options := &azcosmos.ItemOptions{EnableContentResponseOnWrite: true, IfMatchEtag: p.match(partition, id, which)}
		var r azcosmos.ItemResponse
		var err error
		switch verb {
		case "create":
			r, err = p.container.CreateItem(ctx, key, []byte(text), options)
		case "replace":
			r, err = p.container.ReplaceItem(ctx, key, id, []byte(text), options)
		case "upsert":
			r, err = p.container.UpsertItem(ctx, key, []byte(text), options)
		}
		return p.answered(partition, r, err)
	}
}

func patchBy(partition, id string, which int, operations ...func(*azcosmos.PatchOperations)) ask {
	return func(ctx context.Context, p *peer) string {
		var o azcosmos.PatchOperations
		for _, add := range operations {
			add(&o)
		}
		options := &azcosmos.ItemOptions{EnableContentResponseOnWrite: true, IfMatchEtag: p.match(partition, id, which)}
		r, err := p.container.PatchItem(ctx, azcosmos.NewPartitionKeyString(partition), id, o, options)
		return p.answered(partition, r, err)
	}
}

func read(partition, id string) ask {
	return func(ctx context.Context, p *peer) string {
		r, err := p.container.ReadItem(ctx, azcosmos.NewPartitionKeyString(partition), id, nil)
		return p.answered(partition, r, err)
	}
}

func remove(partition, id string, which int) ask {
	return func(ctx context.Context, p *peer) string {
		options := &azcosmos.ItemOptions{IfMatchEtag: p.match(partition, id, which)}
		r, err := p.container.DeleteItem(ctx, azcosmos.NewPartitionKeyString(partition), id, options)
		return p.answered(partition, r, err)
	}
}

// answered says in short what came of a request for one item, and keeps its
// ETag.
func (p *peer) answered(partition string, r azcosmos.ItemResponse, err error) string {
	if err != nil {
		return failure(err)
	}
	answer := fmt.Sprint(r.RawResponse.StatusCode)
	if len(bytes.TrimSpace(r.Value)) == 0 {
		return answer
	}
	body, err := decoded(r.Value)
	if err != nil {
		return fmt.Sprintf("%s, which cannot be read: %v", answer, err)
	}
	if body["_etag"] != string(r.ETag) || r.ETag == "" {
		answer += fmt.Sprintf(" ETag %q in the header, %q in the item", r.ETag, body["_etag"])
	}
	name := fmt.Sprint(partition, " ", body["id"])
	if known := p.etags[name]; len(known) == 0 || known[len(known)-1] != r.ETag {
		p.etags[name] = append(known, r.ETag)
	}
	if text := bare(body); len(text) < 500 {
		return answer + " " + text
	}
	return answer + " an item"
}

// failure says in short how a request failed.
func failure(err error) string {
	if r, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return strconv.Itoa(r.StatusCode)
	}
	return "not understood: " + err.Error()
}

// decoded reads an item; its numbers stay as they are written.
func decoded(raw []byte) (map[string]any, error) {
	var body map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return body, d.Decode(&body)
}

// bare writes an item without what servers add: they must add the same, but for
// its values.
func bare(body map[string]any) string {
	var missing []string
	for _, name := range []string{"_etag", "_rid", "_self", "_ts"} {
		if body[name] == nil {
			missing = append(missing, name)
		}
	}
	text := withoutAdded(body)
	if len(missing) > 0 {
		text += " without " + strings.Join(missing, ", ")
	}
	return text
}

// withoutAdded writes an item as its writer has, the names in order.
func withoutAdded(body map[string]any) string {
	shown := map[string]any{}
	for name, value := range body {
		if !slices.Contains([]string{"_etag", "_rid", "_self", "_ts", "_attachments"}, name) {
			shown[name] = value
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// exchange is a request, and what is answered to it. Those of a list are asked
// in their order, of one container.
type exchange struct {
	name string
	ask  ask
	want string // by the documentation of the service

	// What the other server answers instead, and why that is its fault. The pages
	// are named as in double_test.go.
	server, fault string
}

// compare asks a peer for everything in order.
func compare(t *testing.T, endpoint string, server bool, exchanges []exchange) {
	p := newPeer(t, endpoint)
	for _, e := range exchanges {
		want := e.want
		if server && e.fault != "" {
			want = e.server
		}
		if got := e.ask(t.Context(), p); got != want {
			t.Errorf("%s: it answers\n\t%s\ninstead of\n\t%s", e.name, got, want)
		}
	}
}

// compareBoth asks the double, and the other server where there is one.
func compareBoth(t *testing.T, exchanges []exchange) {
	t.Run("the double", func(t *testing.T) { compare(t, newDouble(t).server.URL, false, exchanges) })
	t.Run("the other server", func(t *testing.T) { compare(t, serverURL(t), true, exchanges) })
}
