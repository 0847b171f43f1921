package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook/bench/work"
)

// sets are the records that were loaded for replays and openings.
type sets struct {
	dir    string
	loaded map[work.Task]loaded // by what loads them
}

// loaded is what came of loading a set.
type loaded struct {
	absent string // why the contender could not take part; "" if it did
	err    error
}

// loadOf returns the task that loads what a task reads; reads is false if it
// reads no set.
func loadOf(t work.Task) (load work.Task, reads bool) {
	contender := t.Contender
	switch {
	case t.Streams == 0, contender == work.DecoderAlone:
		return work.Task{}, false
	case contender == work.BareScan:
		contender = "daybook"
	}
	return work.Task{Work: "load", Contender: contender, Bytes: t.Bytes, Records: t.Records, Streams: t.Streams, Killed: t.Killed}, true
}

// load does a task of loading, unless that was done before.
func (s *sets) load(ctx context.Context, t work.Task, log io.Writer) error {
	key := t
	if _, done := s.loaded[key]; done {
		return nil
	}
	t.Dir = s.place(t)
	start := time.Now()
	result, err := runChild(ctx, t)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("loading: %w", err)
	}
	s.loaded[key] = loaded{result.Absent, err}
	if result.Absent != "" || err != nil {
		return nil // those who would read it say why it is not there
	}
	fmt.Fprintf(log, "loaded %d records in %d streams into %s in %s\n", t.Records, t.Streams, t.Contender, time.Since(start).Round(time.Second))
	return nil
}

// place returns the folder of the set that a task reads.
func (s *sets) place(t work.Task) string {
	name := fmt.Sprintf("%d-%d", t.Records, t.Streams)
	if t.Killed {
		name += "-killed"
	}
	return filepath.Join(s.dir, name)
}

// of returns what came of loading the set that a task reads; ok is false if it
// reads none.
func (s *sets) of(t work.Task) (came loaded, ok bool) {
	load, reads := loadOf(t)
	if !reads {
		return loaded{}, false
	}
	came, ok = s.loaded[load]
	return came, ok
}

// remove throws all sets away.
func (s *sets) remove() {
	_ = os.RemoveAll(s.dir)
	clear(s.loaded)
}

// copyTree copies a folder to where nothing is.
func copyTree(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
