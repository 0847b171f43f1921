package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
)

// BenchmarkAppend measures what the handler adds to an append, without a
// connection and with a storage that keeps nothing.
func BenchmarkAppend(b *testing.B) {
	data := `{"account":"account-1","amount":1234.5,"currency":"EUR","text":"` + strings.Repeat("x", 192) + `"}`
	for _, events := range []int{1, 100} {
		native := `{"type":"deposited","data":` + data + `},`
		for name, request := range map[string]struct{ path, body string }{
			"native": {"/appends", `{"changesets":[{"stream_id":"account-1","events":[` + strings.TrimSuffix(strings.Repeat(native, events), ",") + `]}]}`},
			"ees":    {"/streams/account-1", `{"events":[` + strings.TrimSuffix(strings.Repeat(data+",", events), ",") + `]}`},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, events), func(b *testing.B) { benchmarkPost(b, request.path, request.body) })
		}
	}
}

func benchmarkPost(b *testing.B, path, body string) {
	handler := httpapi.New(daybook.New(sink{}, nil), nil)
	request := httptest.NewRequest("POST", path, http.NoBody)
	reader := strings.NewReader(body)
	w := &countingWriter{header: http.Header{}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		reader.Reset(body)
		request.Body, request.ContentLength = io.NopCloser(reader), int64(len(body))
		handler.ServeHTTP(w, request)
	}
	if w.status != 200 {
		b.Fatalf("status %d", w.status)
	}
}

// sink is a storage that keeps nothing.
type sink struct{ daybook.Driver }

func (sink) Append(_ context.Context, a daybook.Append) (daybook.Receipt, error) {
	n := daybook.Version(len(a.Changesets[0].Events))
	return daybook.Receipt{AppendID: a.ID, RecordedAt: time.UnixMicro(1_790_000_000_123_456), Durability: daybook.DurabilityDisk, Changesets: []daybook.ChangesetReceipt{
		{Stream: a.Changesets[0].Stream, Number: 1, Ordinal: 1, First: 1, Last: n, FirstPosition: 1, LastPosition: daybook.Position(n)},
	}}, nil
}

// countingWriter throws away what is written, and calls filled each time that
// it has counted more records.
type countingWriter struct {
	header  http.Header
	status  int
	records int
	filled  func(records int)
}

func (w *countingWriter) Header() http.Header              { return w.header }
func (w *countingWriter) WriteHeader(status int)           { w.status = status }
func (w *countingWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *countingWriter) SetWriteDeadline(time.Time) error { return nil }
func (w *countingWriter) FlushError() error                { return nil }
func (w *countingWriter) Write(p []byte) (int, error) {
	if w.filled != nil {
		w.records += bytes.Count(p, []byte("\nevent: record\n"))
		w.filled(w.records)
	}
	return len(p), nil
}

// BenchmarkLiveTail measures the way of a record to many live readers, without
// their connections.
func BenchmarkLiveTail(b *testing.B) {
	for _, readers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			store := daybook.New(newMemory(), nil)
			handler := httpapi.New(store, nil)
			ctx, cancel := context.WithCancel(b.Context())
			left := make(chan struct{}, readers)
			for range readers {
				w := &countingWriter{header: http.Header{}, filled: func(records int) {
					if records == b.N {
						left <- struct{}{}
					}
				}}
				go handler.ServeHTTP(w, httptest.NewRequest("GET", "/records?format=sse", nil).WithContext(ctx))
			}
			events := make([]daybook.Event, 10)
			for i := range events {
				events[i] = daybook.Event{Type: "deposited", Data: []byte(`{"text":"` + strings.Repeat("x", 246) + `"}`)}
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += len(events) {
				if _, err := store.Append(ctx, daybook.Stream("account-1"), daybook.ExpectAny(), events[:min(len(events), b.N-n)]...); err != nil {
					b.Fatal(err)
				}
			}
			for range readers {
				<-left
			}
			cancel()
		})
	}
}
