package sqlserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// answer is what a faked server answers to one statement: results of rows, or
// an error. It has no SQL: what it shows is how the driver takes an answer.
type answer any

type (
	results = [][]row
	row     = []driver.Value
)

// broken is results behind which the connection breaks.
type broken struct {
	results results
	err     error
}

// fakeServer gives its answers one after the other, and keeps what it is sent.
type fakeServer struct {
	mu      sync.Mutex // guards all below
	answers []answer
	texts   []string
	values  [][]driver.NamedValue
}

// faked returns a driver whose server gives these answers, one a statement.
func faked(t *testing.T, answers ...answer) (*Driver, *fakeServer) {
	t.Helper()
	server := &fakeServer{answers: answers}
	d := &Driver{options: Options{Schema: "daybook", Connections: 1, Poll: time.Hour, Patience: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)}}
	d.over(sql.OpenDB(server))
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, server
}

// Connect implements driver.Connector.
func (s *fakeServer) Connect(context.Context) (driver.Conn, error) { return fakeConnection{s}, nil }

// Driver implements driver.Connector.
func (s *fakeServer) Driver() driver.Driver { return nil }

type fakeConnection struct{ server *fakeServer }

func (c fakeConnection) Prepare(string) (driver.Stmt, error)            { return nil, errors.ErrUnsupported }
func (c fakeConnection) Begin() (driver.Tx, error)                      { return nil, errors.ErrUnsupported }
func (c fakeConnection) Close() error                                   { return nil }
func (c fakeConnection) CheckNamedValue(value *driver.NamedValue) error { return nil }

// QueryContext implements driver.QueryerContext.
func (c fakeConnection) QueryContext(_ context.Context, text string, values []driver.NamedValue) (driver.Rows, error) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts, s.values = append(s.texts, text), append(s.values, values)
	if len(s.answers) == 0 {
		return nil, errors.New("the faked server has no more answers")
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	switch a := next.(type) {
	case error:
		return nil, a
	case broken:
		return &fakeRows{left: a.results, err: a.err}, nil
	default:
		return &fakeRows{left: next.(results)}, nil
	}
}

// fakeRows implements driver.RowsNextResultSet.
type fakeRows struct {
	left results
	err  error // behind the last result
}

func (r *fakeRows) Columns() []string {
	if len(r.left) == 0 || len(r.left[0]) == 0 {
		return nil
	}
	return make([]string, len(r.left[0][0]))
}

func (r *fakeRows) Close() error           { return nil }
func (r *fakeRows) HasNextResultSet() bool { return len(r.left) > 1 || r.err != nil }

func (r *fakeRows) NextResultSet() error {
	if len(r.left) > 1 {
		r.left = r.left[1:]
		return nil
	}
	if r.err != nil {
		return r.err
	}
	return io.EOF
}

func (r *fakeRows) Next(into []driver.Value) error {
	if len(r.left) == 0 || len(r.left[0]) == 0 {
		return io.EOF
	}
	copy(into, r.left[0][0])
	r.left[0] = r.left[0][1:]
	return nil
}
