package cosmos

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Request tells about one request to the service, for Options.Observe.
type Request struct {
	Method string // "POST"
	Kind   string // "batch", "query", "read", "feed" or "other"
	Status int    // 0 where no answer came
	// Charge is what the service took for it, in request units.
	Charge float64
	// RetryAfter is how long the service asks to wait; more than 0 where it
	// throttles (status 429).
	RetryAfter time.Duration
	Took       time.Duration
}

// Usage counts what a driver has asked of the service since it was opened.
type Usage struct {
	Requests     int64   // all of them
	RequestUnits float64 // what they were charged
	Throttled    int64   // those that were answered with 429
	Lost         int64   // those that were not answered
}

// Usage tells what the driver has used of the service so far.
func (d *Driver) Usage() Usage {
	d.meter.mu.Lock()
	defer d.meter.mu.Unlock()
	return d.meter.usage
}

// meter is a policy of the client that counts requests, those that are sent
// again one by one.
type meter struct {
	observe func(Request)
	session *session

	mu    sync.Mutex // guards usage
	usage Usage
}

// Do implements policy.Policy.
func (m *meter) Do(request *policy.Request) (*http.Response, error) {
	start := time.Now()
	response, err := request.Next()
	seen := Request{Method: request.Raw().Method, Kind: kindOf(request.Raw()), Took: time.Since(start)}
	if response != nil {
		seen.Status = response.StatusCode
		seen.Charge, _ = strconv.ParseFloat(response.Header.Get("x-ms-request-charge"), 64)
		seen.RetryAfter = retryAfter(response)
		m.session.note(response.Header.Get("x-ms-session-token"))
	}
	m.mu.Lock()
	m.usage.Requests++
	m.usage.RequestUnits += seen.Charge
	if seen.Status == http.StatusTooManyRequests {
		m.usage.Throttled++
	}
	if seen.Status == 0 {
		m.usage.Lost++
	}
	m.mu.Unlock()
	if m.observe != nil {
		m.observe(seen)
	}
	return response, err
}

func kindOf(r *http.Request) string {
	switch {
	case r.Header.Get("x-ms-cosmos-is-batch-request") != "":
		return "batch"
	case r.Header.Get("x-ms-documentdb-query") != "":
		return "query"
	case r.Header.Get("A-IM") != "":
		return "feed"
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/docs/"):
		return "read"
	}
	return "other"
}

// session remembers how far the driver has seen each range of the container,
// so that no read of it goes back behind that.
// https://learn.microsoft.com/azure/cosmos-db/consistency-levels#session-consistency
type session struct {
	mu     sync.Mutex        // guards all below
	tokens map[string]string // by range
	whole  string
}

// note keeps the tokens of an answer that are newer than those that it has.
func (s *session) note(tokens string) {
	if tokens == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for token := range strings.SplitSeq(tokens, ",") {
		name, value, ok := strings.Cut(token, ":")
		if !ok || !isNewer(value, s.tokens[name]) {
			continue
		}
		if s.tokens == nil {
			s.tokens = map[string]string{}
		}
		s.tokens[name], changed = value, true
	}
	if !changed {
		return
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.tokens)) {
		all = append(all, name+":"+s.tokens[name])
	}
	s.whole = strings.Join(all, ",")
}

// token returns the tokens of all ranges; nil where there are none yet.
func (s *session) token() *string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.whole == "" {
		return nil
	}
	whole := s.whole
	return &whole
}

// isNewer compares two tokens of one range: version#sequence#… of each region.
func isNewer(token, than string) bool {
	if than == "" {
		return true
	}
	version, sequence, ok := tokenParts(token)
	thanVersion, thanSequence, thanOK := tokenParts(than)
	if !ok || !thanOK {
		return token != than
	}
	return version > thanVersion || version == thanVersion && sequence > thanSequence
}

func tokenParts(token string) (version, sequence int64, ok bool) {
	parts := strings.Split(token, "#")
	if len(parts) < 2 {
		return 0, 0, false
	}
	version, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	sequence, err = strconv.ParseInt(parts[1], 10, 64)
	return version, sequence, err == nil
}
