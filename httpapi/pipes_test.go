package httpapi_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// pipeListener is a listener whose connections are in memory, and can be held
// up in writing to the client.
type pipeListener struct {
	accepts chan net.Conn
	closed  chan struct{}
	close   sync.Once
	held    chan struct{} // told when a write is being held up

	mu       sync.Mutex
	released chan struct{} // closed while nothing is held up
}

func newPipeListener() *pipeListener {
	l := &pipeListener{accepts: make(chan net.Conn), closed: make(chan struct{}), held: make(chan struct{}, 1), released: make(chan struct{})}
	close(l.released)
	return l
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case connection := <-l.accepts:
		return connection, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.accepts <- &heldConnection{server, l}:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// hold holds up all writes to clients until release.
func (l *pipeListener) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = make(chan struct{})
}

func (l *pipeListener) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.released)
}

type heldConnection struct {
	net.Conn
	listener *pipeListener
}

func (c *heldConnection) Write(p []byte) (int, error) {
	c.listener.mu.Lock()
	released := c.listener.released
	c.listener.mu.Unlock()
	select {
	case <-released:
	default:
		select {
		case c.listener.held <- struct{}{}:
		default:
		}
		<-released
	}
	return c.Conn.Write(p)
}

// clock is a clock that moves when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
