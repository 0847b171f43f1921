package livestate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daybook-go/daybook/internal/durable"
)

// Files returns a store that keeps snapshots in a directory, made where it is
// missing: DIR/<fold>/<position>.state, the newest of each fold, so many (fewer
// than 1 is 1). A file is there whole or not at all, and damage is found when it
// is read:
//
//	8  "daybook1"
//	4  length h of the header, little-endian
//	h  the header: the Snapshot without its data, JSON
//	n  the data
//	32 SHA-256 of all before
func Files(dir string, keep int) SnapshotStore { return &fileSnapshots{dir: dir, keep: max(keep, 1)} }

type fileSnapshots struct {
	dir  string
	keep int
}

const (
	filesMagic  = "daybook1"
	filesSuffix = ".state"
)

// errNoDir keeps snapshots from going to wherever the program was started.
var errNoDir = &SetupError{What: "dir", Reason: "must not be empty"}

// Save implements SnapshotStore.
func (f *fileSnapshots) Save(_ context.Context, snapshot Snapshot) error {
	if f.dir == "" {
		return errNoDir
	}
	dir := filepath.Join(f.dir, snapshot.Fold)
	if err := durable.MakeDir(durable.OS, dir); err != nil {
		return err
	}
	data := snapshot.Data
	snapshot.Data = nil
	header, err := json.Marshal(snapshot)
	if err != nil {
		return err
	}
	file := binary.LittleEndian.AppendUint32([]byte(filesMagic), uint32(len(header)))
	file = append(append(file, header...), data...)
	sum := sha256.Sum256(file)
	name := filepath.Join(dir, fmt.Sprintf("%020d%s", snapshot.Position, filesSuffix))
	if err := durable.WriteFile(durable.OS, name, append(file, sum[:]...)); err != nil {
		return err
	}
	names, err := f.names(snapshot.Fold)
	if err != nil {
		return err
	}
	for _, old := range names[min(len(names), f.keep):] {
		err = errors.Join(err, os.Remove(filepath.Join(dir, old)))
	}
	return err
}

// names returns the files of a fold, the newest first.
func (f *fileSnapshots) names(fold string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(f.dir, fold))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), filesSuffix) {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// Load implements SnapshotStore.
func (f *fileSnapshots) Load(_ context.Context, fold string) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		names, err := f.names(fold)
		if f.dir == "" {
			err = errNoDir
		}
		if err != nil {
			yield(Snapshot{}, err)
			return
		}
		for _, name := range names {
			snapshot, err := readSnapshot(filepath.Join(f.dir, fold, name))
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			if !yield(snapshot, err) {
				return
			}
		}
	}
}

func readSnapshot(name string) (Snapshot, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		return Snapshot{}, err
	}
	end, start := len(file)-sha256.Size, len(filesMagic)+4
	if end < start || string(file[:len(filesMagic)]) != filesMagic {
		return Snapshot{}, errors.New("it is not a snapshot")
	}
	if sum := sha256.Sum256(file[:end]); !bytes.Equal(sum[:], file[end:]) {
		return Snapshot{}, errors.New("it is damaged")
	}
	behind := start + int(binary.LittleEndian.Uint32(file[len(filesMagic):]))
	if behind > end {
		return Snapshot{}, errors.New("it is damaged")
	}
	var snapshot Snapshot
	if err := json.Unmarshal(file[start:behind], &snapshot); err != nil {
		return Snapshot{}, err
	}
	snapshot.Data = file[behind:end]
	return snapshot, nil
}
