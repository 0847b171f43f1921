package httpapi_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/daybook-go/daybook/storage/memory"
)

func newMemory() *memory.Driver { return memory.New(nil) }

func memoryAt(now *time.Time) *memory.Driver {
	return memory.New(&memory.Options{Now: func() time.Time { return *now }})
}

// call calls a handler without a connection.
func call(handler http.Handler, method, path string, body []byte) (int, []byte) {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, bytes.NewReader(body)))
	return recorder.Code, recorder.Body.Bytes()
}

// readAll returns all records as NDJSON.
func readAll(handler http.Handler) []byte {
	_, lines := call(handler, "GET", "/records?format=ndjson", nil)
	return lines
}
