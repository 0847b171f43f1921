// Daybook is the command line of the event store: it serves a store over HTTP,
// appends to it and reads from it, checks, copies and moves it. "daybook help"
// says more; docs/cli.md is the reference.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/daybook-go/daybook/storage/disk"
)

func main() { os.Exit(runProgram(nil)) }

// runProgram is main on a file system; nil is that of the machine.
func runProgram(files disk.FS) (exit int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, files: files}
	args := os.Args[1:]
	// Lambda starts a program of this name, and gives it no arguments.
	if filepath.Base(os.Args[0]) == "bootstrap" && len(args) == 0 {
		args = []string{"lambda"}
	}
	return p.run(ctx, args)
}

// program is what the subcommands share: where they read and write, and the
// flags that all of them have.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	files  disk.FS // under a store in a directory; nil is that of the machine

	store     string // --store
	noMigrate bool   // --no-migrate
	json      bool   // --json
}
