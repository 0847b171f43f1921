package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
)

const programEnv = "DAYBOOK_WORD_COUNTER" // the address of the server, for a program of the test

// TestMain lets the test binary be one of the programs that count.
func TestMain(m *testing.M) {
	if address := os.Getenv(programEnv); address != "" {
		if err := run(context.Background(), address, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serve(t *testing.T) string {
	store := daybook.New(memory.New(nil), nil)
	server := httptest.NewServer(httpapi.New(store, nil))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); _ = store.Close() })
	return server.URL
}

func TestOutputIsAsTheProgramTells(t *testing.T) {
	var out strings.Builder
	input := "add the day the book\ndelete day night\ndelete none\nsing\n\nshow\nquit\nadd never\n"
	if err := run(t.Context(), serve(t), strings.NewReader(input), &out); err != nil {
		t.Fatal(err)
	}
	want := "3 new\n1 deleted\n0 deleted\nsing: say add, delete, show or quit\nbook 1\nthe 2\n"
	if out.String() != want {
		t.Errorf("output:\n%swant:\n%s", out.String(), want)
	}
}

func TestNoWordOfAnyProgramIsLost(t *testing.T) {
	const programs, lines = 3, 20
	address := serve(t)
	var group sync.WaitGroup
	for p := range programs {
		group.Go(func() {
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(os.Environ(), programEnv+"="+address)
			command.Stdin = strings.NewReader(strings.Repeat("add the book\nadd day\n", lines) + fmt.Sprintf("add only%d\n", p))
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("program %d: %v\n%s", p, err, out)
			}
		})
	}
	group.Wait()
	var out strings.Builder
	if err := run(t.Context(), address, strings.NewReader("show\n"), &out); err != nil {
		t.Fatal(err)
	}
	want := "book 60\nday 60\nonly0 1\nonly1 1\nonly2 1\nthe 60\n"
	if out.String() != want {
		t.Errorf("together they counted\n%swant\n%s", out.String(), want)
	}
}
