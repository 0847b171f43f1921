// Package client is the other side of the HTTP measurements: connections that
// send appends as fast as they are answered, and readers of a live stream. It
// runs in a process of its own, so that its processor time and memory are not
// the server's, and does as little as it can, because it shares the machine
// with it.
package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/daybook-go/daybook/bench/measure"
)

// Appends says what to send.
type Appends struct {
	Address     string // of the server: host and port
	Path        string
	Bodies      [][]byte // what the nth connection sends, again and again; one each
	WarmUp      time.Duration
	Duration    time.Duration // behind WarmUp
	MaxReplyLen int           // in bytes; 0 is 1 MiB
}

// Answers is what came back.
type Answers struct {
	Requests       int64 // within Duration
	All            int64 // with those of WarmUp
	Elapsed        time.Duration
	P50, P99, P999 time.Duration
}

// Send opens a connection for each body and sends it until the time is over.
// A reply that is no success is an error.
func Send(ctx context.Context, a Appends) (Answers, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if a.MaxReplyLen <= 0 {
		a.MaxReplyLen = 1 << 20
	}
	connections := make([]net.Conn, len(a.Bodies))
	for n := range connections {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.Address)
		if err != nil {
			return Answers{}, err
		}
		defer connection.Close()
		connections[n] = connection
	}
	window := measure.NewWindow(a.WarmUp, a.Duration)
	var mu sync.Mutex
	var answers Answers
	all := measure.NewLatencies()
	var sending sync.WaitGroup
	for n, connection := range connections {
		sending.Go(func() {
			counted := measure.NewLatencies()
			total, err := sendAll(ctx, connection, a, a.Bodies[n], counted, window)
			if err != nil {
				cancel(fmt.Errorf("connection %d: %w", n, err))
			}
			mu.Lock()
			defer mu.Unlock()
			all.Merge(counted)
			answers.All += total
		})
	}
	answers.Elapsed = window.WaitClosed(ctx)
	sending.Wait()
	if err := context.Cause(ctx); err != nil {
		return Answers{}, err
	}
	answers.Requests = all.Count()
	answers.P50, answers.P99, answers.P999 = all.Quantile(0.5), all.Quantile(0.99), all.Quantile(0.999)
	return answers, nil
}

// sendAll sends one body over a connection until the window closes.
func sendAll(ctx context.Context, connection net.Conn, a Appends, body []byte, counted *measure.Latencies, window *measure.Window) (total int64, err error) {
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", a.Path, a.Address, len(body))
	request = append(request, body...)
	replies := bufio.NewReaderSize(connection, 4<<10)
	for began := time.Now(); ctx.Err() == nil; {
		if _, err := connection.Write(request); err != nil {
			return total, err
		}
		if err := readReply(replies, a.MaxReplyLen); err != nil {
			return total, err
		}
		ended := time.Now()
		total++
		if _, more := window.Count(counted, began, ended); !more {
			break
		}
		began = ended
	}
	return total, nil
}

// readReply reads one reply whose length is told, and passes over its body.
func readReply(replies *bufio.Reader, maxLen int) error {
	status, err := replies.ReadSlice('\n')
	if err != nil {
		return err
	}
	fields := bytes.Fields(status)
	if len(fields) < 2 || len(fields[1]) != 3 {
		return fmt.Errorf("this is no reply: %q", status)
	}
	success := fields[1][0] == '2'
	told := string(bytes.TrimSpace(status))
	length := -1
	for {
		line, err := replies.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 || length > maxLen {
		return errors.New("the reply does not tell its length, or it is too long")
	}
	if !success {
		text, _ := io.ReadAll(io.LimitReader(replies, int64(length)))
		return fmt.Errorf("the server answered %s: %s", told, text)
	}
	_, err = replies.Discard(length)
	return err
}
