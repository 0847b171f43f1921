package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook/internal/durable"
)

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := durable.WriteFile(durable.OS, name, []byte("old and long")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := durable.Write(durable.OS, name, func(file durable.File) error {
		_, err := file.WriteAt([]byte("half"), 0)
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("a write that fails answers %v", err)
	}
	want(t, name, "old and long")
	if err := durable.WriteFile(durable.OS, name, []byte("new")); err != nil {
		t.Fatal(err)
	}
	want(t, name, "new")
	if names, err := durable.OS.List(filepath.Dir(name)); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestPreparedFileWaitsBesideTheOldOne(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := durable.WriteFile(durable.OS, name, []byte("old")); err != nil {
		t.Fatal(err)
	}
	err := durable.Prepare(durable.OS, name, func(file durable.File) error {
		_, err := file.WriteAt([]byte("new"), 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, name, "old")
	want(t, name+durable.Unfinished, "new")
}

func want(t *testing.T, name, text string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || string(got) != text {
		t.Errorf("the file holds %q, %v, want %q", got, err, text)
	}
}

func TestMakeDirMakesParents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := durable.MakeDir(durable.OS, dir); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := durable.WriteFile(durable.OS, file, nil); err != nil {
		t.Fatal(err)
	}
	if err := durable.MakeDir(durable.OS, filepath.Join(file, "below")); err == nil {
		t.Error("a directory was made below a file")
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := durable.OS.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := durable.OS.Lock(name); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("a second lock answers %v", err)
	}
	if held, err := durable.OS.Locked(name); err != nil || !held {
		t.Errorf("held: %v, %v", held, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err := durable.OS.Locked(name); err != nil || held {
		t.Errorf("held after it was closed: %v, %v", held, err)
	}
	again, err := durable.OS.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
