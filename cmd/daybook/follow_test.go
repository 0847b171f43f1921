package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
)

func TestFollowingGoesOnWhenTheServerComesBack(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	add := func(kind string) {
		t.Helper()
		if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: kind}); err != nil {
			t.Fatal(err)
		}
	}
	address := "127.0.0.1:0"
	start := func() *http.Server {
		t.Helper()
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		address = listener.Addr().String()
		server := &http.Server{Handler: httpapi.New(store, nil)}
		go server.Serve(listener)
		return server
	}
	server := start()
	add("before")

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdout, out := io.Pipe()
	stderr, errs := io.Pipe()
	p := &program{stdin: strings.NewReader(""), stdout: out, stderr: errs, getenv: func(string) string { return "" }}
	exit := make(chan int, 1)
	go func() { exit <- p.run(ctx, []string{"log", "--follow", "--store", "http://" + address}) }()
	lines, told := bufio.NewReader(stdout), bufio.NewReader(stderr)
	wants := func(from *bufio.Reader, want string) {
		t.Helper()
		if line, err := from.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Fatalf("%q, %v; want %q", line, err, want)
		}
	}
	wants(lines, "before")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	wants(told, "waiting for it")
	add("meanwhile")
	server = start()
	defer server.Close()
	wants(lines, "meanwhile")
	add("afterwards")
	wants(lines, "afterwards")
	interrupt()
	if code := <-exit; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
