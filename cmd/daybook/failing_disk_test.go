package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
)

// failingDaybook is the program on a disk that fails every sync of the log while
// the file is there that failWhile names, in the environment. Only the test binary
// knows it.
const failingDaybook, failWhile = "daybook-on-failing-disk", "DAYBOOK_TEST_FAIL_WHILE"

func runOnFailingDisk() { os.Exit(runProgram(failingFS{durable.OS})) }

type failingFS struct{ disk.FS }

func (f failingFS) OpenWrite(name string) (disk.File, error) {
	file, err := f.FS.OpenWrite(name)
	if err != nil || !strings.HasSuffix(name, ".segment") {
		return file, err
	}
	return failingFile{file}, nil
}

type failingFile struct{ disk.File }

func (f failingFile) Sync() error {
	if _, err := os.Stat(os.Getenv(failWhile)); err == nil {
		return &os.PathError{Op: "sync", Path: "the log", Err: syscall.EIO}
	}
	return f.File.Sync()
}

// told is what a server says of itself or of an append.
type told struct {
	Code    int `json:"-"`
	Error   string
	Message string
}

func ask(t *testing.T, method, url, body string) (a told) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		t.Fatalf("%s %s: %s, %v", method, url, data, err)
	}
	a.Code = response.StatusCode
	return a
}

// A server under which the disk fails says so in every way that it has, asks to be
// started again, is read meanwhile, and has lost nothing when it was.
func TestServerWhoseDiskFailsAsksToBeStartedAgain(t *testing.T) {
	dir := t.TempDir()
	trigger := filepath.Join(dir, "failing")
	t.Setenv(failWhile, trigger)
	server, err := startServerOf(failingDaybook, dir, "file:daybook-data")
	if err != nil {
		t.Fatal(err)
	}
	defer server.kill()
	const event = `{"append_id":"order-7","changesets":[{"stream_id":"a-1","events":[{"type":"t","data":1}]}]}`
	for n := range 3 {
		body := strings.Replace(event, "order-7", fmt.Sprint("order-", n), 1)
		if a := ask(t, "POST", server.url+"/appends", body); a.Code != http.StatusOK && a.Code != http.StatusCreated {
			t.Fatalf("on a disk that is well: %+v", a)
		}
	}
	if a := ask(t, "GET", server.url+"/healthz", ""); a.Code != http.StatusOK {
		t.Fatalf("on a disk that is well: %+v", a)
	}
	if err := os.WriteFile(trigger, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	wantFailed := func(what string, a told) {
		t.Helper()
		if a.Code != http.StatusServiceUnavailable || a.Error != "STORAGE_FAILED" || !strings.Contains(a.Message, "start the server again") {
			t.Errorf("%s: %+v", what, a)
		}
	}
	wantFailed("the append", ask(t, "POST", server.url+"/appends", event))
	if err := os.Remove(trigger); err != nil {
		t.Fatal(err)
	}
	// The disk is well again: who knows what it has lost.
	wantFailed("the next append", ask(t, "POST", server.url+"/appends", event))
	wantFailed("a deletion", ask(t, "DELETE", server.url+"/streams/a-1?deletion_id=8e51f85c-4b2c-4ec0-8f08-8f0c7d3f0001", ""))
	wantFailed("the health", ask(t, "GET", server.url+"/healthz", ""))
	wantRead(t, server.url)
	if log := server.log(); !strings.Contains(log, "input/output error") || !strings.Contains(log, "restart the program") {
		t.Errorf("the log does not tell: %s", log)
	}
	if err := server.interrupt(); err != nil {
		t.Error(err, server.log())
	}

	again, err := startServer(dir, "file:daybook-data")
	if err != nil {
		t.Fatal(err)
	}
	defer again.kill()
	if a := ask(t, "GET", again.url+"/healthz", ""); a.Code != http.StatusOK {
		t.Errorf("started again: %+v", a)
	}
	// Whether it was stored or not, it is now, and once.
	for range 2 {
		if a := ask(t, "POST", again.url+"/appends", event); a.Code != http.StatusOK && a.Code != http.StatusCreated {
			t.Errorf("sent again: %+v", a)
		}
	}
	driver, err := remote.Open(again.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	if head, err := driver.Head(t.Context(), daybook.Stream("a-1")); err != nil || head.Version != 4 {
		t.Errorf("the stream ends at %+v, %v", head, err)
	}
	run(t, dir, "verify", "--deep", "--store", "file:daybook-data")
}

// wantRead reads through the client for Go, and sees that it knows the failure too.
func wantRead(t *testing.T, url string) {
	t.Helper()
	driver, err := remote.Open(url, &remote.Options{Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	records := 0
	for _, err := range store.ReadStream(t.Context(), daybook.Stream("a-1"), daybook.StreamRead{To: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		records++
	}
	if records != 3 {
		t.Errorf("%d records are read", records)
	}
	_, err = store.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), daybook.Event{Type: "t"})
	if !errors.Is(err, daybook.ErrFailed) {
		t.Errorf("the client for Go gets %v", err)
	}
}
