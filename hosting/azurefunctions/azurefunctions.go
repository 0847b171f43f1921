// Package azurefunctions serves a store as a custom handler of Azure Functions:
// a program that the host starts when a request comes and stops when none do,
// and to which it forwards requests over HTTP, at a port that it names.
//
// [Handler] is that of httpapi with the entities of EventsSourcing on Azure
// Functions besides: streams by domain, type and key, bound from the route. The
// functions themselves, which bind those routes, are files: deploy/azure has
// them. docs/azure-functions.md shows a deployment, "daybook azure-functions" is
// this package as a program.
package azurefunctions

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/internal/wire"
)

// PortVariable is the variable of the environment in which the host names the
// port.
const PortVariable = "FUNCTIONS_CUSTOMHANDLER_PORT"

// Options of a Handler. Nil and zero fields mean the defaults.
type Options struct {
	// Prefix is what stands in front of all routes: "api", where host.json says
	// nothing. Default none, as the host.json of deploy/azure says.
	Prefix string
	// API are the options of HTTP. Replies leave as a whole, whatever they say:
	// a stream that does not end would keep the program from being stopped.
	API httpapi.Options
}

// Handler returns a handler that serves store to the host.
//
// Besides the paths of httpapi it has those of entities. An entity is a stream:
// its domain is the partition, its type and key, joined by "-", are the name.
//
//	/entities/{domain}/{type}/{key}           the stream: POST commits, GET tells where it ends, DELETE deletes
//	/entities/{domain}/{type}/{key}/events    and changesets, records: what stands in it
//	/entities/{domain}/{type}                 the entities of a type
//
// They take the parameters of the paths that they stand for, but for partition
// and stream_type.
func Handler(store *daybook.Store, options *Options) http.Handler {
	var o Options
	if options != nil {
		o = *options
	}
	o.API.WholeReplies = true
	return &handler{prefix: strings.Trim(o.Prefix, "/"), api: httpapi.New(store, &o.API)}
}

// Listen listens where the host says that it will look: at the port in the
// variable PortVariable, of this machine only.
func Listen(ctx context.Context, port string) (net.Listener, error) {
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 {
		return nil, &daybook.InvalidError{Field: PortVariable, Value: strconv.Quote(port), Reason: "must be a port: the host of Azure Functions sets it"}
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
}

type handler struct {
	prefix string
	api    *httpapi.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	prefixed := h.prefix != "" && len(segments) > 1 && strings.EqualFold(segments[0], h.prefix)
	if prefixed {
		segments = segments[1:]
	}
	query := r.URL.RawQuery
	entity := strings.EqualFold(segments[0], "entities") && len(segments) >= 3
	if entity {
		target, bound, err := entityTarget(segments[1:], query)
		if err != nil {
			refuse(w, err)
			return
		}
		segments, query = target, bound
	}
	if entity || prefixed {
		path := "/" + strings.Join(segments, "/")
		decoded, err := url.PathUnescape(path)
		if err != nil {
			refuse(w, err)
			return
		}
		at := *r.URL
		at.Path, at.RawPath, at.RawQuery = decoded, path, query
		r = r.Clone(r.Context())
		r.URL = &at
	}
	h.api.ServeHTTP(w, r)
}

// entityTarget returns the path and the parameters of httpapi that the route of
// an entity, or of all entities of a type, stands for.
func entityTarget(route []string, rawQuery string) (path []string, query string, err error) {
	var names [3]string // domain, type, key
	for i := range min(len(route), 3) {
		if names[i], err = url.PathUnescape(route[i]); err != nil {
			return nil, "", err
		}
		if names[i] == "" {
			return nil, "", fmt.Errorf("%s is missing: an entity is /entities/DOMAIN/TYPE/KEY", [3]string{"the domain", "the type", "the key"}[i])
		}
	}
	if strings.Contains(names[1], "-") {
		return nil, "", fmt.Errorf(`type %q: must not contain "-", which begins the key in the name of a stream`, names[1])
	}
	bound := url.Values{"partition": {names[0]}}
	if len(route) == 2 {
		bound.Set("stream_type", names[1])
		path = []string{"heads"}
	} else {
		path = append([]string{"streams", url.PathEscape(names[1] + "-" + names[2])}, route[3:]...)
	}
	for name := range bound {
		if given, _ := url.ParseQuery(rawQuery); given.Has(name) {
			return nil, "", fmt.Errorf("%s is not a parameter of this path: the route says it", name)
		}
	}
	query = bound.Encode()
	if rawQuery != "" {
		query += "&" + rawQuery
	}
	return path, query, nil
}

// refuse answers a route that names no entity.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, "{\n    \"error\": \"INVALID_INPUT\",\n    \"message\": %s\n}\n", wire.AppendString(nil, err.Error()))
}
