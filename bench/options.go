package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybook-go/daybook/bench/peer"
	"github.com/daybook-go/daybook/bench/report"
)

// options are what the command line says.
type options struct {
	sections []string // which to measure
	peers    []string // which contenders, besides the bounds; nil is all
	rounds   int
	duration time.Duration
	quick    bool
	records  int64
	large    bool
	dir      string
	out      string // the document; "" writes none
	add      bool
	list     bool
	command  string // by which the run is repeated
}

// document is what a whole run writes.
const document = "docs/benchmarks.md"

const usage = `bench measures Daybook beside its peers: the same work on the same machine, in turn.

  bench [flags]

Sections: %s
Contenders: %s

`

// parseOptions reads the command line. What is wrong with it is told on log.
func parseOptions(arguments []string, log io.Writer) (options, error) {
	var o options
	var only, peers string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.Usage = func() {
		fmt.Fprintf(log, usage, strings.Join(report.SectionNames(), ", "), strings.Join(contenderNames(), ", "))
		flags.PrintDefaults()
	}
	flags.StringVar(&only, "only", "", "measure these `sections` only, separated by commas")
	flags.StringVar(&peers, "peers", "", "measure these `contenders` only, besides the bounds")
	flags.IntVar(&o.rounds, "rounds", 0, "how many `rounds`; medians are taken over them (default 5, with -quick 2)")
	flags.DurationVar(&o.duration, "duration", 0, "how long each contender works in a round (default 3s, with -quick 500ms)")
	flags.BoolVar(&o.quick, "quick", false, "fewer comparisons and shorter rounds: a few minutes, too rough to quote")
	flags.Int64Var(&o.records, "records", 0, "how many `records` are replayed and opened, a multiple of 1,000 (default 1,000,000, with -quick 100,000)")
	flags.BoolVar(&o.large, "large", false, "replay and open 10 M records too; needs 40 GB of room")
	flags.StringVar(&o.dir, "dir", ".bench", "the `folder` that contenders write to; it must lie on the disk that is to be measured")
	flags.StringVar(&o.out, "out", "", "the `file` to write as Markdown (default "+document+", unless only a part is measured without -add)")
	flags.BoolVar(&o.add, "add", false, "keep the sections that earlier runs have measured and this one does not")
	flags.BoolVar(&o.list, "list", false, "tell what would be measured, and do nothing")
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.command = "make bench"
	if len(arguments) > 0 {
		o.command += " BENCH='" + strings.Join(arguments, " ") + "'"
	}
	return o, o.complete(only, peers)
}

// complete checks the lists and fills in what was not given.
func (o *options) complete(only, peers string) error {
	o.sections = report.SectionNames()
	if only != "" {
		o.sections = strings.Split(only, ",")
	}
	for _, section := range o.sections {
		if !slices.Contains(report.SectionNames(), section) {
			return fmt.Errorf("no section is called %q; there are: %s", section, strings.Join(report.SectionNames(), ", "))
		}
	}
	if peers != "" {
		o.peers = strings.Split(peers, ",")
	}
	for _, name := range o.peers {
		if !slices.Contains(contenderNames(), name) {
			return fmt.Errorf("no contender is called %q; there are: %s", name, strings.Join(contenderNames(), ", "))
		}
	}
	byDefault := func(full, quick int) int {
		if o.quick {
			return quick
		}
		return full
	}
	if o.rounds <= 0 {
		o.rounds = byDefault(5, 2)
	}
	if o.records <= 0 {
		o.records = int64(byDefault(million, million/10))
	}
	if o.records%1000 != 0 {
		return fmt.Errorf("-records %d: must be a multiple of 1,000", o.records)
	}
	if o.duration <= 0 {
		o.duration = time.Duration(byDefault(3000, 500)) * time.Millisecond
	}
	if o.out == "" && !o.quick && peers == "" && (only == "" || o.add) {
		o.out = document
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	var err error
	o.dir, err = filepath.Abs(o.dir)
	return err
}

// wants reports whether a contender is to be measured: bounds always are.
func (o *options) wants(name string) bool {
	contender, known := peer.Named(name)
	switch {
	case !known || contender.Bound:
		return true
	case o.peers != nil:
		return slices.Contains(o.peers, name)
	default:
		return !contender.Volatile
	}
}

func contenderNames() []string {
	var names []string
	for _, contender := range peer.All() {
		names = append(names, contender.Name)
	}
	return names
}
