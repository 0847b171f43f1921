package cosmos_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The double is the part of the REST surface of Azure Cosmos DB for NoSQL that
// the driver uses, by the documentation of the service; no emulator that can be
// had for tests has batches and ETags together. Beside each behaviour stands the
// page that it is from, below https://learn.microsoft.com: [rest] is
// /rest/api/cosmos-db/, [docs] is /azure/cosmos-db/. What the driver does not
// use it answers with 501.

// doubleKey is the key of the account, which the double checks.
var doubleKey = base64.StdEncoding.EncodeToString([]byte("the key of the double, which is no secret"))

// double is an account.
type double struct {
	server *httptest.Server

	mu         sync.Mutex               // guards all below
	intercept  func(s *sighting) *fault // may answer a request instead of the double
	containers map[string]*dContainer
	databases  map[string]bool
	count      map[string]int // requests by kind
	charge     float64
	choppy     bool // pages are cut short, and some are empty
	lagging    bool // what is read without a session token is behind
	quiet      bool // successful batches tell no results
	ticks      uint64
}

// sighting is a request as the double sees it.
type sighting struct {
	method, kind, partition string
	body                    []byte
}

// fault is an answer instead of the right one.
type fault struct {
	status     int
	sub        string
	retryAfter time.Duration
	after      bool // the request is carried out first
	cut        bool // no answer, the connection is closed
	wait       <-chan struct{}
}

// newDouble starts an account, with a container tests/events.
func newDouble(t testing.TB) *double {
	t.Helper()
	d := &double{containers: map[string]*dContainer{}, databases: map[string]bool{"tests": true}, count: map[string]int{}}
	d.containers["dbs/tests/colls/events"] = newContainer("tests-events")
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	return d
}

// meet lets a function answer requests instead of the double; nil is none.
func (d *double) meet(intercept func(s *sighting) *fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.intercept = intercept
}

// container makes another container, and returns the URL of a store in it.
func (d *double) container(name string) string {
	d.mu.Lock()
	d.containers["dbs/tests/colls/"+name] = newContainer("tests-" + name)
	d.mu.Unlock()
	return d.url(name)
}

func (d *double) url(container string) string {
	return fmt.Sprintf("cosmos:AccountEndpoint=%s/;AccountKey=%s;Database=tests;Container=%s", d.server.URL, doubleKey, container)
}

// counts returns how many requests of each kind came, and what they were
// charged, and begins anew.
func (d *double) counts() (map[string]int, float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count, charge := d.count, d.charge
	d.count, d.charge = map[string]int{}, 0
	return count, charge
}

// doubleError is an answer that says that a request failed.
type doubleError struct {
	status  int
	sub     string
	code    string
	message string
}

func failWith(status int, code, message string, args ...any) *doubleError {
	return &doubleError{status: status, code: code, message: fmt.Sprintf(message, args...)}
}

// ServeHTTP answers a request.
func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a := &answer{header: w.Header(), double: d, request: r, body: body}
	seen := &sighting{method: r.Method, kind: a.kind(), partition: a.partition(), body: body}
	d.mu.Lock()
	d.count[seen.kind]++
	intercept := d.intercept
	d.mu.Unlock()
	var f *fault
	if intercept != nil {
		f = intercept(seen)
	}
	if f != nil {
		if f.wait != nil {
			<-f.wait
		}
		if f.after || f.status == 0 && !f.cut {
			a.serve()
		}
		if f.cut {
			cut(w)
			return
		}
		if f.status != 0 {
			clear(w.Header())
			a.failed(&doubleError{status: f.status, sub: f.sub, code: "Fault", message: "by the test"})
			if f.retryAfter > 0 { // [rest] http-status-codes-for-cosmosdb, 429
				w.Header().Set("x-ms-retry-after-ms", fmt.Sprint(f.retryAfter.Milliseconds()))
			}
		}
	} else {
		a.serve()
	}
	w.Header().Set("x-ms-request-charge", fmt.Sprintf("%.2f", a.charge)) // [rest] common-cosmosdb-rest-response-headers
	d.mu.Lock()
	d.charge += a.charge
	d.mu.Unlock()
	if a.out != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.out)
}

// cut closes the connection of a request without an answer.
func cut(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// answer is the answer to one request, in the making.
type answer struct {
	double  *double
	request *http.Request
	body    []byte
	header  http.Header
	status  int
	out     []byte
	charge  float64
}

func (a *answer) kind() string {
	h := a.request.Header
	switch {
	case strings.HasSuffix(a.request.URL.Path, "/pkranges"):
		return "ranges"
	case h.Get("x-ms-cosmos-is-batch-request") != "":
		return "batch"
	case h.Get("x-ms-documentdb-query") != "":
		return "query"
	case h.Get("A-IM") != "":
		return "feed"
	case strings.Contains(a.request.URL.Path, "/docs/"):
		return "read"
	case a.request.URL.Path == "/":
		return "account"
	}
	return "other"
}

// partition returns the value of the partition key that a request names.
func (a *answer) partition() string {
	var values []string
	if json.Unmarshal([]byte(a.request.Header.Get("x-ms-documentdb-partitionkey")), &values) != nil || len(values) != 1 {
		return ""
	}
	return values[0]
}

func (a *answer) give(status int, value any) {
	a.status = status
	if value != nil {
		a.out, _ = json.Marshal(value)
	}
}

func (a *answer) failed(err *doubleError) {
	if err.sub != "" {
		a.header.Set("x-ms-substatus", err.sub)
	}
	a.give(err.status, map[string]string{"code": err.code, "message": err.message})
}

// serve carries the request out.
func (a *answer) serve() {
	if err := a.authorize(); err != nil {
		a.failed(err)
		return
	}
	a.double.mu.Lock()
	defer a.double.mu.Unlock()
	a.charge = 1
	if err := a.route(); err != nil {
		a.failed(err)
	}
}

// authorize checks the signature. [rest] access-control-on-cosmosdb-resources
func (a *answer) authorize() *doubleError {
	resource, link := a.resource()
	text := strings.ToLower(a.request.Method) + "\n" + resource + "\n" + link + "\n" + strings.ToLower(a.request.Header.Get("x-ms-date")) + "\n\n"
	key, _ := base64.StdEncoding.DecodeString(doubleKey)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	want := url.QueryEscape("type=master&ver=1.0&sig=" + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if got := a.request.Header.Get("Authorization"); got != want {
		return failWith(http.StatusUnauthorized, "Unauthorized", "the signature is not that of %q", text)
	}
	return nil
}

// resource returns the type and the link of the resource that is signed: that
// of a list is the link of what holds it.
func (a *answer) resource() (kind, link string) {
	path := strings.Trim(a.request.URL.Path, "/")
	parts := strings.Split(path, "/")
	switch {
	case path == "":
		return "", ""
	case len(parts)%2 == 1:
		return parts[len(parts)-1], strings.Join(parts[:len(parts)-1], "/")
	default:
		return parts[len(parts)-2], path
	}
}

// route finds what a request is for.
func (a *answer) route() *doubleError {
	path := strings.Trim(a.request.URL.Path, "/")
	parts := strings.Split(path, "/")
	switch {
	case path == "": // [rest] get-database-account
		a.give(200, map[string]any{
			"id": "double", "userConsistencyPolicy": map[string]string{"defaultConsistencyLevel": "Session"}, "enableMultipleWriteLocations": false,
			"writableLocations": []any{map[string]string{"name": "Here", "databaseAccountEndpoint": a.double.server.URL + "/"}},
			"readableLocations": []any{map[string]string{"name": "Here", "databaseAccountEndpoint": a.double.server.URL + "/"}},
		})
		return nil
	case path == "dbs" && a.request.Method == http.MethodPost:
		return a.createDatabase()
	case len(parts) == 3 && parts[2] == "colls" && a.request.Method == http.MethodPost:
		return a.createContainer(path)
	}
	if len(parts) < 4 {
		return failWith(http.StatusNotImplemented, "NotImplemented", "%s %s", a.request.Method, path)
	}
	c := a.double.containers[strings.Join(parts[:4], "/")]
	if c == nil { // [rest] http-status-codes-for-cosmosdb, 404 with 1003
		return &doubleError{status: http.StatusNotFound, sub: "1003", code: "NotFound", message: "Owner resource does not exist"}
	}
	switch {
	case len(parts) == 4 && a.request.Method == http.MethodGet:
		a.give(200, map[string]any{
			"id": parts[3], "_rid": c.rid, "partitionKey": map[string]any{"paths": []string{"/PartitionId"}, "kind": "Hash", "version": 2},
		})
		return nil
	case len(parts) == 5 && parts[4] == "pkranges":
		return a.listRanges(c)
	case len(parts) >= 5 && parts[4] == "docs":
		return a.routeItems(c, parts)
	}
	return failWith(http.StatusNotImplemented, "NotImplemented", "%s %s", a.request.Method, path)
}

func (a *answer) routeItems(c *dContainer, parts []string) *doubleError {
	if len(parts) == 5 {
		switch a.kind() {
		case "batch":
			return a.doBatch(c)
		case "query":
			return a.doQuery(c)
		case "feed":
			return a.readFeed(c)
		}
		if a.request.Method == http.MethodPost {
			return a.doItem(c, "", "")
		}
	}
	if len(parts) == 6 {
		return a.doItem(c, parts[5], a.request.Method)
	}
	return failWith(http.StatusNotImplemented, "NotImplemented", "%s %s", a.request.Method, a.request.URL.Path)
}

// createDatabase is by [rest] create-a-database.
func (a *answer) createDatabase() *doubleError {
	var made struct{ ID string }
	if json.Unmarshal(a.body, &made) != nil || made.ID == "" {
		return failWith(400, "BadRequest", "no id")
	}
	if a.double.databases[made.ID] {
		return failWith(409, "Conflict", "the database exists")
	}
	a.double.databases[made.ID] = true
	a.give(201, map[string]string{"id": made.ID})
	return nil
}

// createContainer is by [rest] create-a-collection.
func (a *answer) createContainer(path string) *doubleError {
	var made struct {
		ID           string
		PartitionKey struct{ Paths []string } `json:"partitionKey"`
	}
	if json.Unmarshal(a.body, &made) != nil || made.ID == "" || !slices.Equal(made.PartitionKey.Paths, []string{"/PartitionId"}) {
		return failWith(400, "BadRequest", "no id, or another partition key than the double has")
	}
	if !a.double.databases[strings.Split(path, "/")[1]] { // [rest] http-status-codes-for-cosmosdb
		return failWith(404, "NotFound", "the database is not there")
	}
	if a.double.containers[path+"/"+made.ID] != nil {
		return failWith(409, "Conflict", "the container exists")
	}
	a.double.containers[path+"/"+made.ID] = newContainer(made.ID)
	a.give(201, map[string]any{"id": made.ID, "_rid": made.ID})
	return nil
}

// listRanges is by [rest] get-partition-key-ranges: incremental like a feed.
func (a *answer) listRanges(c *dContainer) *doubleError {
	a.header.Set("etag", `"1"`)
	if a.request.Header.Get("If-None-Match") == `"1"` {
		a.give(304, nil)
		return nil
	}
	var ranges []any
	for i, r := range c.ranges {
		bounds := []string{"", "1FFFFFFFFFFFFFFF", "FF"}
		ranges = append(ranges, map[string]any{
			"id": r.id, "_rid": fmt.Sprint(c.rid, i), "minInclusive": bounds[i], "maxExclusive": bounds[i+1], "parents": []string{}, "status": "online",
		})
	}
	a.give(200, map[string]any{"_rid": c.rid, "PartitionKeyRanges": ranges, "_count": len(ranges)})
	return nil
}

// sortedNames returns the keys of a map in order.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
