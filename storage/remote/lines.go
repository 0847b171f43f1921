package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/daybook-go/daybook/internal/wire"
)

// maxLine bounds a line of the server: more than the largest record that a
// store takes, and what a stray server cannot exceed.
const maxLine = 256 << 20

// lines is a read of many values, each a line of JSON.
type lines[T any] struct {
	driver *Driver
	path   string
	// params asks for the values that are still wanted; false when none is.
	params func() (url.Values, bool)
	decode func(line []byte) (T, error)
	// seen moves what is wanted behind a value.
	seen func(T)
}

// values yields the values. A read that is cut goes on where it was cut, and
// gives up when it has made no progress for all of its tries.
func (l *lines[T]) values(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		fail := func(err error) {
			var none T
			yield(none, err)
		}
		for try := 0; ; try++ {
			params, more := l.params()
			if !more {
				return
			}
			stopped, progress, err := l.once(ctx, params, yield)
			if noStream := new(*wire.StreamNotFoundError); stopped || err == nil || errors.As(err, noStream) {
				return
			}
			if progress {
				try = 0
			}
			var lost *UnreachableError
			if !errors.As(err, &lost) || ctx.Err() != nil || try >= l.driver.options.Retries {
				fail(err)
				return
			}
			if l.driver.pause(ctx, try) != nil {
				fail(ctx.Err())
				return
			}
		}
	}
}

// once is one request. It reports whether the caller stopped ranging, and
// whether a value was yielded.
func (l *lines[T]) once(ctx context.Context, params url.Values, yield func(T, error) bool) (stopped, progress bool, err error) {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	// Silence ends the request; while the caller is busy the timer rests.
	silence := time.AfterFunc(l.driver.options.Timeout, cancel)
	defer silence.Stop()
	reply, err := l.driver.send(limited, request{method: http.MethodGet, path: l.path, params: params, accept: typeNDJSON})
	if err != nil {
		return false, false, l.cut(ctx, err)
	}
	defer reply.Body.Close()
	reader := bufio.NewReaderSize(reply.Body, 64<<10)
	var line []byte
	for {
		silence.Reset(l.driver.options.Timeout)
		line, err = readLine(reader, line[:0])
		silence.Stop()
		if err == io.EOF {
			return false, progress, nil
		}
		if err == errLongLine {
			return false, progress, err
		}
		if err != nil {
			return false, progress, l.cut(ctx, l.driver.unreachable(true, fmt.Errorf("the reply was cut: %w", err)))
		}
		if len(line) == 0 {
			continue
		}
		if bytes.HasPrefix(line, []byte(`{"error":`)) {
			return false, progress, wire.DecodeError(http.StatusOK, line)
		}
		value, err := l.decode(line)
		if err != nil {
			return false, progress, l.driver.stranger(err)
		}
		l.seen(value)
		progress = true
		if !yield(value, nil) {
			return true, progress, nil
		}
	}
}

// cut returns the error of a request that was not answered, or not to its end.
func (l *lines[T]) cut(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if errors.Is(err, context.Canceled) { // by the timer: ctx goes on
		return l.driver.unreachable(true, fmt.Errorf("silent for %s", l.driver.options.Timeout))
	}
	return err
}

var errLongLine = fmt.Errorf("the server sent a line of more than %d bytes", maxLine)

// readLine appends the next line to line, without its end. A last line without
// an end is io.ErrUnexpectedEOF: the server ends each.
func readLine(reader *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case len(line) > maxLine:
			return nil, errLongLine
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
