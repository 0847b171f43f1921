package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// route is what answers one method of one path.
type route struct {
	method string
	path   string // with {} where the stream stands
	ees    bool
	// params are the query parameters that it takes; those with a + behind may
	// be repeated. The Elastic Event Store's paths ignore what they do not
	// know, and take the first of what is repeated; others refuse it.
	params []string
	serve  func(h *Handler, x *exchange) error
}

var filterParams = []string{"partition+", "stream_type+", "type+", "tag+", "query"}

// routes are all there are. It is filled by a function because one of them
// serves the document that lists them.
var routes = []route{
	{method: "GET", path: "/version", ees: true, serve: (*Handler).version},
	{method: "GET", path: "/streams", ees: true, serve: (*Handler).statistics},
	{method: "POST", path: "/streams/{}", ees: true, serve: (*Handler).commit},
	{method: "GET", path: "/streams/{}/changesets", ees: true, serve: (*Handler).streamChangesets},
	{method: "GET", path: "/streams/{}/events", ees: true, serve: (*Handler).streamEvents},
	{method: "GET", path: "/changesets", ees: true, serve: (*Handler).allChangesets},

	{method: "POST", path: "/appends", serve: (*Handler).append},
	{method: "POST", path: "/imports", serve: (*Handler).imports},
	{method: "GET", path: "/streams/{}", params: []string{"partition"}, serve: (*Handler).head},
	{method: "HEAD", path: "/streams/{}", params: []string{"partition"}, serve: (*Handler).head},
	{method: "DELETE", path: "/streams/{}", params: []string{"partition", "expect", "through", "scrub", "deletion_id", "who", "why"}, serve: (*Handler).deleteStream},
	{method: "GET", path: "/deletions", params: []string{"after", "stream_id", "partition", "limit", "format"}, serve: (*Handler).deletions},
	{method: "GET", path: "/streams/{}/records", params: []string{"partition", "from", "to", "until", "backwards", "limit", "format"}, serve: (*Handler).streamRecords},
	{method: "GET", path: "/records", params: append([]string{"after", "to", "until", "backwards", "limit", "format"}, filterParams...), serve: (*Handler).logRecords},
	{method: "GET", path: "/heads", params: []string{"partition+", "stream_type+", "after", "after_partition", "limit", "format"}, serve: (*Handler).heads},
	{method: "GET", path: "/position", params: []string{"after", "wait"}, serve: (*Handler).position},
	{method: "GET", path: "/stats", serve: (*Handler).stats},
	{method: "GET", path: "/claims", params: []string{"partition", "kind", "value"}, serve: (*Handler).claim},
	{method: "GET", path: "/healthz", serve: (*Handler).healthz},
	{method: "HEAD", path: "/healthz", serve: (*Handler).healthz},
	{method: "GET", path: "/openapi.json", serve: (*Handler).openAPI},
}

// find returns the route of the request, and notes the stream that its path
// names. Paths are matched without regard to case, and are never cleaned or
// redirected: an empty segment is an empty stream id, "%2F" a part of one.
func (x *exchange) find() (*route, error) {
	path := x.request.URL.EscapedPath()
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var allowed []string
	for i := range routes {
		r := &routes[i]
		if !r.matches(segments) {
			continue
		}
		x.ees = x.ees || r.ees
		if r.method == x.request.Method {
			x.ees = r.ees
			return r, x.takeStream(r, segments)
		}
		allowed = append(allowed, r.method)
	}
	if allowed == nil {
		x.ees = true
		return nil, &problem{status: http.StatusNotFound, message: "no such endpoint: " + wire.Shorten(x.request.URL.Path)}
	}
	x.writer.Header().Set("Allow", strings.Join(allowed, ", "))
	message := fmt.Sprintf("%s is not a method of this path; it has %s", x.request.Method, strings.Join(allowed, ", "))
	return nil, &problem{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", message: message}
}

func (r *route) matches(segments []string) bool {
	pattern := r.path[1:]
	for i, segment := range segments {
		part, rest, more := strings.Cut(pattern, "/")
		if part != "{}" && !strings.EqualFold(part, segment) || more != (i+1 < len(segments)) {
			return false
		}
		pattern = rest
	}
	return true
}

// takeStream notes the stream that the path names.
func (x *exchange) takeStream(r *route, segments []string) error {
	if !strings.Contains(r.path, "{}") {
		return nil
	}
	name, err := url.PathUnescape(segments[1])
	if err != nil {
		return &daybook.InvalidError{Field: "stream_id", Value: quoted(segments[1]), Reason: "must be percent-encoded: " + err.Error()}
	}
	if name == "" {
		return &problem{status: http.StatusBadRequest, code: codeMissingStream, message: "stream_id is missing: the path must name a stream"}
	}
	x.stream = name
	return nil
}

// parseQuery reads the query parameters.
func (x *exchange) parseQuery(r *route) error {
	if x.request.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(x.request.URL.RawQuery)
	x.query = values
	if r.ees {
		return nil
	}
	if err != nil {
		return &daybook.InvalidError{Field: "query", Value: quoted(x.request.URL.RawQuery), Reason: "must be percent-encoded parameters: " + err.Error()}
	}
	for name, given := range values {
		switch {
		case slices.Contains(r.params, name+"+"):
		case strings.HasSuffix(name, "+") || !slices.Contains(r.params, name):
			return &daybook.InvalidError{Field: wire.Shorten(name), Value: quoted(given[0]), Reason: "is not a parameter of this path" + paramList(r.params)}
		case len(given) > 1:
			return &daybook.InvalidError{Field: name, Value: quoted(strings.Join(given, " ")), Reason: "may be given once only"}
		}
	}
	return nil
}

// quoted returns what a client sent for an error about it.
func quoted(text string) string { return fmt.Sprintf("%q", wire.Shorten(text)) }

func paramList(params []string) string {
	if len(params) == 0 {
		return ", which takes none"
	}
	return ", which takes " + strings.ReplaceAll(strings.Join(params, ", "), "+", "")
}
