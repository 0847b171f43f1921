package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
)

// reader calls a function when it is read, and then blocks.
type reader func()

func (r reader) Read([]byte) (int, error) {
	r()
	select {}
}

func TestInterruptedReadOfStandardInputEndsTheProgram(t *testing.T) {
	for _, args := range [][]string{{"import"}, {"append", "a", "--type", "b", "--data", "-"}, {"append", "a", "--ndjson"}} {
		ctx, interrupt := context.WithCancel(t.Context())
		var out, errs bytes.Buffer
		p := &program{stdin: reader(interrupt), stdout: &out, stderr: &errs, getenv: func(string) string { return "mem:" }}
		if exit := p.run(ctx, args); exit != exitInterrupted {
			t.Errorf("%v: exit code %d, want %d: %s", args, exit, exitInterrupted, errs.String())
		}
		if errs.String() != "daybook: interrupted\n" {
			t.Errorf("%v: standard error is %q", args, errs.String())
		}
	}
}

func TestFollowingThatIsInterruptedEndsWell(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) *exec.Cmd {
		command := exec.Command("daybook", args...)
		command.Env = append(os.Environ(), storeVariable+"=file:"+dir+"/data")
		return command
	}
	if out, err := run("append", "account-1", "--type", "opened").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	follow := run("log", "--follow")
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, "opened") {
		t.Errorf("followed %q, error %v", line, err)
	}
	if err := follow.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("following ended with %v", err)
	}
}

func TestAppendWithUnknownOutcomeSaysHowToSendItAgain(t *testing.T) {
	a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("a"), Events: []daybook.Event{{Type: "b"}}}}}
	p := &program{store: "http://" + hangingUp(t), stdout: new(bytes.Buffer)}
	err := p.append(t.Context(), a)
	var known *failure
	if !errors.As(err, &known) || !strings.Contains(known.hint, "--id "+a.ID.String()) {
		t.Errorf("error %v, hint %q", err, hintOf(err))
	}
}

// hangingUp returns the address of a server that takes every request and
// answers none.
func hangingUp(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}
