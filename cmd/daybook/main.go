// Daybook is the command line of the event store: it serves a store over HTTP,
// appends to it and reads from it, checks, copies and moves it. "daybook help"
// says more; docs/cli.md is the reference.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// program is what the subcommands share: where they read and write, and the
// flags that all of them have.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string

	store     string // --store
	noMigrate bool   // --no-migrate
	json      bool   // --json
}
