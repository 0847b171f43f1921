package client_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook/bench/client"
)

func TestEveryRequestThatIsCountedHasReachedTheServer(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/appends" || r.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(string(body), `{"n":`) {
			http.Error(w, "not what was sent", http.StatusTeapot)
			return
		}
		requests.Add(1)
		fmt.Fprintln(w, `{"position":1}`)
	}))
	defer server.Close()
	answers, err := client.Send(t.Context(), client.Appends{
		Address: server.Listener.Addr().String(), Path: "/appends", Duration: 100 * time.Millisecond,
		Bodies: [][]byte{[]byte(`{"n":1}`), []byte(`{"n":2}`), []byte(`{"n":3}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if answers.All != requests.Load() || answers.Requests < 1 || answers.Requests > answers.All {
		t.Errorf("%d requests are counted, %d of them in time; the server has seen %d", answers.All, answers.Requests, requests.Load())
	}
}

func TestAReplyThatIsNoSuccessIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the stream has moved on", http.StatusConflict)
	}))
	defer server.Close()
	_, err := client.Send(t.Context(), client.Appends{
		Address: server.Listener.Addr().String(), Path: "/", Duration: time.Minute, Bodies: [][]byte{[]byte("{}")},
	})
	if err == nil || !strings.Contains(err.Error(), "409") || !strings.Contains(err.Error(), "moved on") {
		t.Errorf("error %v, want the 409 and what the server says", err)
	}
}

// tailServer sends events 1 to last to each reader, and breaks the connection
// behind every breakAfter of them.
func tailServer(last, breakAfter int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		io.WriteString(w, "retry: 2000\n\n")
		for id := from + 1; id <= last; id++ {
			fmt.Fprintf(w, "id: %d\nevent: record\ndata: {\"position\":%d,\"text\":\"%s\"}\n\n", id, id, strings.Repeat("x", id%700))
			if id%7 == 0 {
				http.NewResponseController(w).Flush()
			}
			if breakAfter > 0 && id%breakAfter == 0 && id < last {
				return
			}
		}
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
}

func TestReadersOfALiveStreamSeeEveryEventOnce(t *testing.T) {
	const last = 5000
	server := httptest.NewServer(tailServer(last, 0))
	defer server.Close()
	told := false
	seen, err := client.Follow(t.Context(), client.Tail{URL: server.URL, Readers: 4, Last: last}, func() error { told = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if seen.Events != last || seen.Lost != 0 || !told {
		t.Errorf("a reader has seen %d events of %d and %d breaks; told that it was ready: %v", seen.Events, last, seen.Lost, told)
	}
}

func TestAReaderThatIsDroppedComesBackForTheRest(t *testing.T) {
	const last = 1000
	server := httptest.NewServer(tailServer(last, 300))
	defer server.Close()
	seen, err := client.Follow(t.Context(), client.Tail{URL: server.URL, Readers: 2, Last: last}, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if seen.Events != last || seen.Lost != 2*3 {
		t.Errorf("a reader has seen %d events of %d; %d times one was dropped, want 6", seen.Events, last, seen.Lost)
	}
}
