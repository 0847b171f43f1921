package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/daybook-go/daybook/bench/work"
)

// patience is how long a process may take beyond the time that it measures:
// loading is the longest.
const patience = 30 * time.Minute

// runChild does a task in a process of its own, so that what it uses can be
// told from what others use, and starts from a disk that is not busy.
func runChild(ctx context.Context, t work.Task) (work.Result, error) {
	unix.Sync()
	program, err := os.Executable()
	if err != nil {
		return work.Result{}, err
	}
	input, err := json.Marshal(t)
	if err != nil {
		return work.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var output, complaints bytes.Buffer
	command := exec.CommandContext(ctx, program, "task")
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &output, &complaints
	command.Env = os.Environ()
	if t.Processors > 0 {
		command.Env = append(command.Env, fmt.Sprintf("GOMAXPROCS=%d", t.Processors))
	}
	// It must not outlive this process. That is tied to the thread that starts
	// it, which therefore must not end before.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && t.Work == "load" && t.Killed {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL && ctx.Err() == nil {
			return work.Result{}, nil // it killed itself, as it was told
		}
	}
	if err != nil {
		return work.Result{}, fmt.Errorf("%w: %s", err, lastLine(complaints.String()))
	}
	var result work.Result
	if err := json.Unmarshal(output.Bytes(), &result); err != nil {
		return work.Result{}, fmt.Errorf("the answer of the process: %w", err)
	}
	return result, nil
}

// lastLine returns the last line of a text that says something.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "bench: ")
}

// lock keeps a second run from the folder: two that measure at once measure
// each other.
func lock(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(dir+"/lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another run measures in %s: %w", dir, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
