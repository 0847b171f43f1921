package dynamodb_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fault is what happens to a request on its way.
type fault int

const (
	pass         fault = iota
	throttle           // the service has no capacity; nothing was done
	cancel             // a transaction was cancelled for want of capacity
	conflict           // a transaction was cancelled because of another one
	refuse             // an inner error of the service; nothing was done
	cutApplied         // it was done, and the answer is lost
	cutUnapplied       // it never arrived
	errorApplied       // it was done, and answered as an inner error
	deny               // the right is missing; nothing was done
)

// request is one that came by.
type request struct {
	operation string
	body      []byte
	number    int // from 1, of all
}

// startProxy stands between a driver and the server, and does to each request
// what decide says, one after the other. It returns its URL.
func startProxy(t testing.TB, decide func(r *request) fault) string {
	t.Helper()
	behind := endpoint(t)
	var mu sync.Mutex
	number := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, operation, _ := strings.Cut(in.Header.Get("X-Amz-Target"), ".")
		mu.Lock()
		number++
		what := decide(&request{operation, body, number})
		mu.Unlock()
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		switch what {
		case throttle:
			failWith(w, 400, "ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded.")
			return
		case cancel:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled [ThrottlingError, None]",
				"CancellationReasons":[{"Code":"ThrottlingError","Message":"slow down"},{"Code":"None"}]}`)
			return
		case conflict:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled [TransactionConflict, None]",
				"CancellationReasons":[{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"},{"Code":"None"}]}`)
			return
		case refuse:
			failWith(w, 500, "InternalServerError", "The request could not be processed")
			return
		case deny:
			failWith(w, 400, "AccessDeniedException", "User is not authorized to perform this")
			return
		case cutUnapplied:
			panic(http.ErrAbortHandler)
		}
		out, err := http.NewRequestWithContext(in.Context(), in.Method, behind+in.URL.Path, bytes.NewReader(body))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Header = in.Header.Clone()
		out.Host = in.Host
		reply, err := http.DefaultClient.Do(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer reply.Body.Close()
		switch what {
		case cutApplied:
			panic(http.ErrAbortHandler)
		case errorApplied:
			failWith(w, 500, "InternalServerError", "The request could not be processed")
			return
		}
		for _, name := range []string{"Content-Type", "X-Amz-Crc32", "X-Amzn-Requestid"} {
			if value := reply.Header.Get(name); value != "" {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(reply.StatusCode)
		_, _ = io.Copy(w, reply.Body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func failWith(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":%q}`, code, message)
}
