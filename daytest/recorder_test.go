package daytest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// recorder is a test that is watched: it keeps what it is told.
type recorder struct {
	ctx    context.Context
	failed []string
	logged []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(format string, args ...any) {
	r.logged = append(r.logged, fmt.Sprintf(format, args...))
}
func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// watch runs a test and returns what it was told.
func watch(t *testing.T, test func(r *recorder)) *recorder {
	t.Helper()
	r := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r
}

// says demands that the watched test failed, and said all that.
func (r *recorder) says(t *testing.T, parts ...string) {
	t.Helper()
	all := strings.Join(r.failed, "\n")
	if len(r.failed) == 0 {
		t.Errorf("the test passes; want it to say %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(all, part) {
			t.Errorf("the test says\n%s\nwithout %q", all, part)
		}
	}
}
