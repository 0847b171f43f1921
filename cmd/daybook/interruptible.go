package main

import (
	"context"
	"io"
)

// interruptible is a reader that gives up when its context ends. A read of a
// terminal or a pipe cannot be ended otherwise: what is read after that is
// lost, which is right for a program that is about to end.
type interruptible struct {
	ctx context.Context // of the whole program
	in  io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		data := make([]byte, len(p))
		n, err := r.in.Read(data)
		read <- result{data[:n], err}
	}()
	select {
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	case got := <-read:
		return copy(p, got.data), got.err
	}
}
