package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
)

// raw sends bytes over a connection and returns the reply; more may be sent,
// or the sending ended, before it is read.
func (s *server) raw(text string, end bool) *reply {
	s.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(connection, text); err != nil {
		s.t.Fatal(err)
	}
	if end {
		if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
			s.t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		s.t.Fatalf("no reply: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &reply{s.t, response.StatusCode, response.Header, body}
}

func TestABodyThatIsCutShortStoresNothing(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/streams/a", "/appends", "/imports"} {
		s.raw("POST "+path+" HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n"+`{"events":[1]}`, true).fails(400, "INVALID_BODY", "too early", "14 bytes")
		s.raw("POST "+path+" HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n"+`{"events":[1]}`+"\r\n", true).fails(400, "INVALID_BODY", "too early")
		s.raw("POST "+path+" HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", true).fails(400, "INVALID_BODY", "chunk")
	}
	s.empty()
}

func TestABodyThatDoesNotComeInTimeStoresNothing(t *testing.T) {
	s := serve(t, &httpapi.Options{BodyTimeout: 20 * time.Millisecond})
	for _, path := range []string{"/streams/a", "/appends", "/imports"} {
		body, feed := io.Pipe()
		go io.WriteString(feed, `{"events":[1],`)
		response := s.open("POST", path, body)
		data, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		(&reply{t, response.StatusCode, response.Header, data}).fails(408, "REQUEST_TIMEOUT", "in time")
		response.Body.Close()
		feed.Close()
	}
	s.empty()
}

// The deadline of a body must not end the request that came with it.
func TestARequestMayTakeLongerThanItsBody(t *testing.T) {
	inner := slow{Driver: newMemory(), entered: make(chan struct{}), proceed: make(chan struct{})}
	s := serveStore(t, daybook.New(inner, nil), &httpapi.Options{BodyTimeout: 100 * time.Millisecond})
	go func() {
		<-inner.entered
		time.Sleep(150 * time.Millisecond) // past the deadline that is to do nothing
		close(inner.proceed)
	}()
	s.post("/streams/a", `{"events":[1]}`).must(200)
}

// slow is a storage whose appends wait to be let through.
type slow struct {
	daybook.Driver
	entered, proceed chan struct{}
}

func (s slow) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	close(s.entered)
	select {
	case <-s.proceed:
		return s.Driver.Append(ctx, a)
	case <-ctx.Done():
		return daybook.Receipt{}, ctx.Err()
	}
}

func TestAShutdownLetsRunningRequestsFinish(t *testing.T) {
	inner := slow{Driver: newMemory(), entered: make(chan struct{}), proceed: make(chan struct{})}
	s := serveStore(t, daybook.New(inner, nil), nil)
	answered := make(chan string, 1)
	go func() {
		response, err := s.client.Post(s.url+"/streams/a", "", strings.NewReader(`{"events":[1]}`))
		if err != nil {
			answered <- err.Error()
			return
		}
		response.Body.Close()
		answered <- response.Status
	}()
	<-inner.entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	waitFor(t, "the listener to close", func() bool {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	close(inner.proceed)
	if got := <-answered; got != "200 OK" {
		t.Errorf("the running request was answered with %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestAShutdownCutsOffRequestsBehindItsGrace(t *testing.T) {
	inner := slow{Driver: newMemory(), entered: make(chan struct{}), proceed: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(inner, nil)
	s := serveOn(t, listener, store, httpapi.New(store, nil), &httpapi.ServerOptions{Grace: 10 * time.Millisecond})
	failed := make(chan error, 1)
	go func() {
		response, err := s.client.Post(s.url+"/streams/a", "", strings.NewReader(`{"events":[1]}`))
		if err == nil {
			response.Body.Close()
			if response.StatusCode != 200 {
				err = errors.New(response.Status) // the request ended in time to say so
			}
		}
		failed <- err
	}()
	<-inner.entered
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("the shutdown says %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request that was cut off succeeded")
	}
}

func TestALongPollEndsWhenTheServerShutsDown(t *testing.T) {
	inner := waiting{newMemory(), make(chan struct{}, 1)}
	s := serveStore(t, daybook.New(inner, nil), nil)
	answered := s.poll("/position?wait=1m")
	<-inner.entered
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if got := <-answered; got != "{\"position\":0}\n" {
		t.Errorf("the poll was answered with %s", got)
	}
}

// waiting is a storage that tells when it is being waited for.
type waiting struct {
	*memory.Driver
	entered chan struct{}
}

func (w waiting) Wait(ctx context.Context, after daybook.Position) error {
	select {
	case w.entered <- struct{}{}:
	default:
	}
	return w.Driver.Wait(ctx, after)
}

// poll sends a GET and returns the channel that its body will come by.
func (s *server) poll(path string) <-chan string {
	answered := make(chan string, 1)
	go func() {
		response, err := s.client.Get(s.url + path)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			body = []byte(err.Error())
		}
		answered <- string(body)
	}()
	return answered
}

func TestAServerWhoseListenerFailsSaysSo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	store := daybook.New(newMemory(), nil)
	defer store.Close()
	if err := httpapi.Serve(t.Context(), listener, httpapi.New(store, nil), nil); err == nil || !strings.Contains(err.Error(), listener.Addr().String()) {
		t.Errorf("Serve returned %v", err)
	}
}

func TestHeadersThatAreSlowOrLargeAreRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(newMemory(), nil)
	s := serveOn(t, listener, store, httpapi.New(store, nil), &httpapi.ServerOptions{ReadHeaderTimeout: 10 * time.Millisecond, MaxHeaderBytes: 1000})
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET /version HTTP/1.1\r\nHo")
	connection.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadAll(connection); err != nil {
		t.Errorf("the server did not hang up: %v", err)
	}
	if r := s.raw("GET /version HTTP/1.1\r\nHost: test\r\nX: "+strings.Repeat("x", 10_000)+"\r\n\r\n", false); r.status != 431 {
		t.Errorf("a large header is answered with %d", r.status)
	}
}

func TestPagesOfOtherOriginsMayNotWrite(t *testing.T) {
	s := serve(t, &httpapi.Options{TrustedOrigins: []string{"https://console.example.org"}})
	for _, q := range questions {
		if q.method == "POST" {
			s.post(q.path, q.body, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example.org").fails(403, "CROSS_ORIGIN")
			s.post(q.path, q.body, "Origin", "https://evil.example.org").fails(403, "CROSS_ORIGIN")
		}
	}
	s.empty()
	s.post("/streams/a", `{"events":[1]}`, "Sec-Fetch-Site", "same-origin").must(200)
	s.post("/streams/b", `{"events":[1]}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://console.example.org").must(200)
	s.get("/streams/a/events", "Sec-Fetch-Site", "cross-site").must(200)
}

func TestRequestsAreNamedApart(t *testing.T) {
	s := serve(t, nil)
	one, two := s.get("/version").header.Get("X-Request-Id"), s.get("/version").header.Get("X-Request-Id")
	if one == "" || one == two {
		t.Errorf("two requests are named %q and %q", one, two)
	}
}

func TestAnErrorDoesNotRepeatMuchOfWhatWasSent(t *testing.T) {
	s := serve(t, nil)
	long := strings.Repeat("7", 100_000)
	for _, path := range []string{
		"/" + long, "/records?" + long + "=1", "/records?after=" + long, "/records?after=" + long + "&after=1", "/records?after=%zz" + long, "/records?format=" + long,
		"/records?query=" + long, "/streams/a/events?from=" + long + ".", "/changesets?limit=-" + long, "/changesets?checkpoint=-" + long, "/records?format=sse&limit=" + long,
		"/records?" + strings.Repeat("type=a&", 20_000), "/position?wait=" + long,
	} {
		if r := s.get(path); r.status < 400 || len(r.body) > 2000 {
			t.Errorf("%.40s is answered %d with %d bytes", path, r.status, len(r.body))
		}
	}
	for _, query := range []string{"expected_last_event=" + long, "expected_last_changeset=-" + long, "expected_last_changeset=" + long + "x"} {
		if r := s.post("/streams/a?"+query, `{"events":[1]}`); r.status != 400 || len(r.body) > 2000 {
			t.Errorf("%.40s is answered %d with %d bytes", query, r.status, len(r.body))
		}
	}
}
