package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// lockName is the file whose lock the one writing process holds.
const lockName = "LOCK"

// LockedError says that another process, or another Driver of this one, has
// the store open for writing. Stop it, or open the store read-only.
type LockedError struct {
	Dir string
	Holder
}

// Holder tells who holds a store: what it wrote into the lock file. Fields may
// be empty where that could not be read.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = fmt.Sprintf("%s, process %d on %s, since %s", e.Program, e.PID, e.Host, e.Since.Format(time.RFC3339))
	}
	return fmt.Sprintf("disk: the store in %s is open for writing by %s: stop it, or open the store read-only", e.Dir, holder)
}

// UnwritableError says that the files of a store cannot be written: they lie on
// read-only media, or belong to somebody else. Open the store read-only. It
// matches daybook.ErrReadOnly.
type UnwritableError struct {
	Dir string
	Err error
}

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("disk: the store in %s cannot be written, open it read-only: %v", e.Dir, e.Err)
}

// Unwrap returns what the file system said.
func (e *UnwritableError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *UnwritableError) Is(target error) bool {
	return target == daybook.ErrReadOnly || target == daybook.ErrRefused
}

// unwritable returns err as an UnwritableError, if it says that.
func unwritable(dir string, err error) error {
	if durable.IsReadOnly(err) {
		return &UnwritableError{Dir: dir, Err: err}
	}
	return err
}

// lockStore takes the lock of the store in dir, and says in the file who did.
func lockStore(fsys FS, dir string, now func() time.Time) (File, error) {
	name := filepath.Join(dir, lockName)
	file, err := takeLock(fsys, name)
	if errors.Is(err, durable.ErrLocked) {
		locked := &LockedError{Dir: dir}
		if data, err := readFile(fsys, name); err == nil {
			// The holder may not have written it yet.
			_ = json.Unmarshal(data, &locked.Holder)
		}
		return nil, locked
	}
	if err != nil {
		return nil, unwritable(dir, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	holder, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Program: filepath.Base(os.Args[0]), Since: now().UTC()})
	if err == nil {
		err = errors.Join(file.Truncate(0), writeAll(file, append(holder, '\n'), 0))
	}
	if err != nil && !durable.IsFull(err) { // a store on a full disk is opened, and read
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// takeLock tries a few times: a reader that looks whether there is a writer
// holds the lock for a moment.
func takeLock(fsys FS, name string) (file File, err error) {
	for range 5 {
		if file, err = fsys.Lock(name); !errors.Is(err, durable.ErrLocked) {
			return file, err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil, err
}

func writeAll(file File, data []byte, offset int64) error {
	_, err := file.WriteAt(data, offset)
	return err
}
