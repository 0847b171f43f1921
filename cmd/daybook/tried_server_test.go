package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// triedName is a program beside daybook: a server of the store in data, in the
// directory that it is started in. It is told how large segments are, and how
// long it pauses between two compactions. While there is a file named FULL it has
// no room.
const triedName = "daybook-tried"

var triedArguments = []string{"262144", "50ms"}

func startTried(dir string) (*server, error) {
	return start(dir, exec.Command(triedName, triedArguments...))
}

// startForgetful starts a server that has a bug: when it is started it forgets
// the last append.
func startForgetful(dir string) (*server, error) {
	return start(dir, exec.Command(triedName, append(slices.Clone(triedArguments), forgetfully)...))
}

const forgetfully = "forgetfully"

// wantNoError looks for errors in the log of a server that has ended, but for that
// there was no room.
func (s *server) wantNoError(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(s.log()) {
		if strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, "there is no room") {
			t.Errorf("the server logged %s", line)
		}
	}
}

func serveTried() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := tried(ctx, log); err != nil {
		log.Error("the server has ended", "error", err)
		os.Exit(exitStore)
	}
}

func tried(ctx context.Context, log *slog.Logger) error {
	segmentBytes, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		return err
	}
	resting, err := time.ParseDuration(os.Args[2])
	if err != nil {
		return err
	}
	if slices.Contains(os.Args, forgetfully) {
		if err := forgetLast(ctx); err != nil {
			return err
		}
	}
	driver, err := disk.Open("data", &disk.Options{SegmentBytes: segmentBytes, FS: scarce{durable.OS, "FULL"}, Logger: log})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"url": "http://" + listener.Addr().String()}); err != nil {
		return errors.Join(err, driver.Close())
	}
	compacting, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		compactAtTimes(compacting, driver, resting, log)
	}()
	store := daybook.New(driver, nil)
	err = httpapi.Serve(ctx, listener, httpapi.New(store, &httpapi.Options{Logger: log}), &httpapi.ServerOptions{Logger: log})
	cancel()
	<-ended
	return errors.Join(err, store.Close())
}

// forgetLast takes the last append out of the store.
func forgetLast(ctx context.Context) error {
	driver, err := disk.Open("data", &disk.Options{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	last, err := driver.End(ctx)
	if err := errors.Join(err, driver.Close()); err != nil || last < 2 {
		return err
	}
	if _, err := disk.Restore(ctx, "data", "less", &disk.RestoreOptions{ToPosition: last - 1}); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll("data"), os.Rename("less", "data"))
}

// compactAtTimes compacts until it is told to end. Without room it cannot.
func compactAtTimes(ctx context.Context, driver *disk.Driver, resting time.Duration, log *slog.Logger) {
	for ctx.Err() == nil {
		report, err := driver.Compact(ctx, nil)
		switch {
		case err == nil && report.Segments > 0:
			log.Info("compacted", "segments", report.Segments, "changesets", report.Changesets)
		case err != nil && ctx.Err() == nil && !durable.IsFull(err) && !errors.Is(err, daybook.ErrFull):
			log.Error("compaction", "error", err)
			return
		}
		select {
		case <-time.After(resting):
		case <-ctx.Done():
		}
	}
}

// scarce is a file system that has no room for more while a file is there.
type scarce struct {
	durable.FS
	full string
}

func (s scarce) lacks(what, name string) error {
	if _, err := os.Stat(s.full); err != nil {
		return nil
	}
	return &os.PathError{Op: what, Path: name, Err: syscall.ENOSPC}
}

func (s scarce) OpenWrite(name string) (durable.File, error) {
	return s.opened(name)(s.FS.OpenWrite(name))
}

func (s scarce) Create(name string) (durable.File, error) {
	if err := s.lacks("create", name); err != nil {
		return nil, err
	}
	return s.opened(name)(s.FS.Create(name))
}

func (s scarce) Mkdir(dir string) error {
	if err := s.lacks("mkdir", dir); err != nil {
		return err
	}
	return s.FS.Mkdir(dir)
}

func (s scarce) opened(name string) func(durable.File, error) (durable.File, error) {
	return func(file durable.File, err error) (durable.File, error) {
		if err != nil {
			return nil, err
		}
		return scarceFile{file, s, filepath.Base(name)}, nil
	}
}

// scarceFile is a file that cannot grow while there is no room.
type scarceFile struct {
	durable.File
	disk scarce
	name string
}

func (f scarceFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.disk.lacks("write", f.name); err != nil {
		size, sizing := f.Size()
		if sizing != nil {
			return 0, sizing
		}
		if fits := max(0, size-at); fits < int64(len(p)) {
			n, writing := f.File.WriteAt(p[:fits], at)
			return n, errors.Join(writing, err)
		}
	}
	return f.File.WriteAt(p, at)
}
