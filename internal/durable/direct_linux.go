package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var _ DirectOpener = system{}

// OpenDirect implements DirectOpener. Some file systems refuse only the first
// write.
func (system) OpenDirect(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return nil, unsupported(err)
	}
	return directFile{file{f}}, nil
}

type directFile struct{ file }

func (f directFile) WriteAt(b []byte, offset int64) (int, error) {
	n, err := f.file.WriteAt(b, offset)
	if err != nil && n == 0 {
		err = unsupported(err)
	}
	return n, err
}

// unsupported makes of the answer to what a file system does not offer an
// error that matches errors.ErrUnsupported.
func unsupported(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}
