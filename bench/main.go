// Command bench measures Daybook beside its peers: the same work on the same
// machine, in turn, each contender in a process of its own.
//
//	make bench                                     everything, and writes docs/benchmarks.md
//	make bench BENCH='-quick'                      a few minutes, to the terminal only
//	make bench BENCH='-only append -peers pebble'  a part
//
// The servers among the peers are found by DAYBOOK_POSTGRES_URL and
// DAYBOOK_MESSAGEDB_URL, which `make bench` sets (see scripts/services).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/daybook-go/daybook/bench/work"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole command. Besides comparing, it plays two parts that it
// starts itself: "task" does one piece of work, "client" is the other side of
// the HTTP work.
func run(ctx context.Context, arguments []string, in io.Reader, out, log io.Writer) error {
	switch {
	case len(arguments) == 1 && arguments[0] == "task":
		return runTask(ctx, in, out)
	case len(arguments) == 2 && arguments[0] == "client":
		return work.Client(ctx, arguments[1], in, out)
	}
	o, err := parseOptions(arguments, log)
	if err != nil {
		return err
	}
	if o.list {
		for _, c := range plan(o) {
			fmt.Fprintf(out, "%-12s %s: %s\n", c.table.Section, c.table.Title, strings.Join(c.labels(), ", "))
		}
		return nil
	}
	return compare(ctx, o, out, log)
}

// runTask does one task and writes its result.
func runTask(ctx context.Context, in io.Reader, out io.Writer) error {
	var t work.Task
	if err := json.NewDecoder(in).Decode(&t); err != nil {
		return err
	}
	result, err := work.Run(ctx, t)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}
