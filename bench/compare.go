package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/daybook-go/daybook/bench/peer"
	"github.com/daybook-go/daybook/bench/report"
	"github.com/daybook-go/daybook/bench/work"
)

// compare measures what the options ask for, prints the tables, and writes the
// document. When something went wrong with a contender the others go on, and
// the error at the end says so.
func compare(ctx context.Context, o options, out, log io.Writer) error {
	unlock, err := lock(o.dir)
	if err != nil {
		return err
	}
	defer unlock()
	machine, err := report.LookAround(o.dir)
	if err != nil {
		return err
	}
	comparisons := plan(o)
	fmt.Fprintf(log, "%s\n%d comparisons, about %s\n", machine, len(comparisons), expected(o, comparisons))
	run := report.Run{Command: o.command, Commit: commit(ctx), Date: time.Now(), Machine: machine, Rounds: o.rounds, Duration: o.duration}
	sets := &sets{dir: filepath.Join(o.dir, "sets"), loaded: map[work.Task]loaded{}}
	defer sets.remove()
	section := ""
	for i := range comparisons {
		c := &comparisons[i]
		if c.table.Section != section {
			section = c.table.Section
			sets.remove()
		}
		if err := measure(ctx, o, c, sets, log); err != nil {
			return err
		}
		run.Tables = append(run.Tables, c.table)
		fmt.Fprintf(out, "\n%s", c.table.Text())
	}
	missing := run.Missing()
	for _, line := range missing {
		fmt.Fprintf(log, "MISSING %s\n", line)
	}
	fmt.Fprintf(log, "%d contenders or comparisons are missing\n", len(missing))
	runs, err := keep(o, run)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(report.Document(runs, time.Now())), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(log, "wrote %s\n", o.out)
	}
	return failures(run)
}

// commit returns which state of the repository is measured, as git tells it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// keep stores what was measured beside the data, and returns it with what
// earlier runs have measured where the options ask for that.
func keep(o options, run report.Run) ([]report.Run, error) {
	name := filepath.Join(o.dir, "results.json")
	runs := []report.Run{}
	if o.add {
		stored, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(stored, &runs)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("the results of earlier runs: %w", err)
		}
	}
	runs = report.Merge(runs, run)
	encoded, err := json.MarshalIndent(runs, "", " ")
	if err != nil {
		return nil, err
	}
	return runs, os.WriteFile(name, encoded, 0o644)
}

// failures returns an error if something went wrong with a contender.
func failures(run report.Run) error {
	failed := 0
	for i := range run.Tables {
		for j := range run.Tables[i].Rows {
			if run.Tables[i].Rows[j].Failed != "" {
				failed++
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d measurements failed", failed)
	}
	return nil
}

// expected returns about how long the comparisons take.
func expected(o options, comparisons []comparison) time.Duration {
	const overhead = time.Second // of a process: its start, its empty folder, its end
	rows := 0
	for i := range comparisons {
		rows += len(comparisons[i].tasks) * o.rounds
	}
	return (time.Duration(rows) * (o.duration*6/5 + overhead)).Round(time.Minute) + time.Minute
}

// measure fills the table of a comparison: each contender once, then each
// again, beginning with another one each time.
func measure(ctx context.Context, o options, c *comparison, sets *sets, log io.Writer) error {
	for _, t := range c.prepare {
		if err := sets.load(ctx, t, log); err != nil {
			return err
		}
	}
	for round := range o.rounds {
		for n := range c.tasks {
			i := (n + round) % len(c.tasks)
			row, t := &c.table.Rows[i], c.tasks[i]
			if row.Absent != "" || row.Failed != "" {
				continue
			}
			t.Duration = o.duration
			result, err := one(ctx, o, t, sets)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			switch {
			case err != nil:
				row.Failed, row.Rounds = err.Error(), nil
				fmt.Fprintf(log, "FAILED %s, %s: %v\n", c.table.Title, row.Label, err)
			case result.Absent != "":
				row.Absent = result.Absent
				fmt.Fprintf(log, "SKIPPED %s, %s: %s\n", c.table.Title, row.Label, result.Absent)
			default:
				row.Rounds = append(row.Rounds, result)
				row.Version = version(t.Contender, result)
				fmt.Fprintf(log, "round %d/%d  %s  %s: %.0f %s/s\n", round+1, o.rounds, c.table.Title, row.Label, result.Rate(), c.table.Unit)
			}
		}
	}
	return nil
}

// one does a task: on the set that was loaded for it, else on an empty folder.
func one(ctx context.Context, o options, t work.Task, sets *sets) (work.Result, error) {
	set, reads := sets.of(t)
	switch {
	case set.err != nil || set.absent != "":
		return work.Result{Absent: set.absent}, set.err
	case reads && !t.Killed:
		t.Dir = sets.place(t)
		return runChild(ctx, t)
	}
	t.Dir = filepath.Join(o.dir, "run")
	if reads {
		// Opening it changes it, and the next round is to find it as it was.
		if err := copyTree(sets.place(t), t.Dir); err != nil {
			return work.Result{}, err
		}
	}
	result, err := runChild(ctx, t)
	return result, errors.Join(err, os.RemoveAll(t.Dir))
}

// version returns the version of a contender: that of its module, and what it
// tells itself.
func version(name string, result work.Result) string {
	contender, _ := peer.Named(name)
	text := ""
	if info, ok := debug.ReadBuildInfo(); ok && contender.Module != "" {
		for _, module := range info.Deps {
			if module.Path == contender.Module {
				text = module.Path + " " + module.Version
			}
		}
	}
	if text != "" && result.Version != "" {
		text += ", "
	}
	return text + result.Version
}
