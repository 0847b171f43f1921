package azureblob_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
)

// inFile returns a store in the file of a directory.
func inFile(t *testing.T, dir string, options *azureblob.Options) (*azureblob.Driver, *daybook.Store) {
	t.Helper()
	driver, err := azureblob.OpenFile(t.Context(), dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	return driver, daybook.New(driver, nil)
}

func appendTo(t *testing.T, store *daybook.Store, n int) {
	t.Helper()
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(n)), event(n)); err != nil {
		t.Fatal(err)
	}
}

func TestABackupDoesNotReplaceThatOfAnotherLog(t *testing.T) {
	mine, store := inFile(t, t.TempDir(), nil)
	theirs, other := inFile(t, t.TempDir(), nil)
	appendTo(t, store, 0)
	appendTo(t, other, 0)
	dir := filepath.Join(t.TempDir(), "new", "backup")
	first, err := mine.Backup(t.Context(), dir)
	if err != nil || first.Bytes == 0 {
		t.Fatal(first, err)
	}
	appendTo(t, store, 1)
	for _, kept := range []int64{first.Bytes, -1} {
		done, err := mine.Backup(t.Context(), dir)
		if kept < 0 {
			kept = done.Bytes
		}
		if err != nil || done.Kept != kept || done.Bytes <= first.Bytes || done.LastPosition != 2 {
			t.Errorf("a later backup is %+v, %v", done, err)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "stream.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Backup(t.Context(), dir); !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("the backup of another log is answered with %v", err)
	}
	// What a log was restored to an earlier point has lost may be in the backup only.
	earlier := t.TempDir()
	if err := os.WriteFile(filepath.Join(earlier, "stream.bin"), before[:first.Bytes], 0o600); err != nil {
		t.Fatal(err)
	}
	lost, _ := inFile(t, earlier, nil)
	if _, err := lost.Backup(t.Context(), dir); !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("the backup of a log that has less is answered with %v", err)
	}
	if _, err := mine.Backup(t.Context(), earlier); !errors.As(err, new(*azureblob.LockedError)) {
		t.Errorf("a backup into an open store is answered with %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "stream.bin")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the backup has changed: %v", err)
	}
}

func TestAFileIsReadBesideItsWriter(t *testing.T) {
	dir := t.TempDir()
	reading := &azureblob.Options{ReadOnly: true}
	if _, err := azureblob.OpenFile(t.Context(), filepath.Join(dir, "none"), reading); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file opening is answered with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory was made")
	}
	_, store := inFile(t, dir, nil)
	appendTo(t, store, 0)
	path := filepath.Join(dir, "stream.bin")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, beside := inFile(t, dir, reading)
	appendTo(t, store, 1)
	holds(t, beside, 1)
	if _, err := beside.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(9)); !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("an append is answered with %v", err)
	}
	// What is being written is not there yet, and is left alone.
	if err := os.WriteFile(path, append(whole, whole[:20]...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, torn := inFile(t, dir, reading)
	holds(t, torn, 1)
	if info, err := os.Stat(path); err != nil || info.Size() != int64(len(whole)+20) {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

func TestAFileThatAnotherProgramHasWrittenIsNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	_, store := inFile(t, dir, nil)
	appendTo(t, store, 0)
	path := filepath.Join(dir, "stream.bin")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(azureblob.Frame(2, []byte(theirs[0])))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(1)); !errors.Is(err, daybook.ErrFailed) {
		t.Errorf("an append is answered with %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	_, again := inFile(t, dir, nil)
	if head, err := again.Head(t.Context(), daybook.Stream("events")); err != nil || head.Version != 1 || head.Position != 2 {
		t.Errorf("opened again it has %+v, %v", head, err)
	}
}
