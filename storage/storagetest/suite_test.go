package storagetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// recordingT is a tester that a broken driver may fail.
type recordingT struct {
	ctx context.Context

	mu       sync.Mutex // guards all below
	failures []string
	skipped  string
	cleanups []func()
}

func (t *recordingT) Helper()                  {}
func (t *recordingT) Logf(string, ...any)      {}
func (t *recordingT) Context() context.Context { return t.ctx }

func (t *recordingT) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *recordingT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *recordingT) Skipf(format string, args ...any) {
	t.mu.Lock()
	t.skipped = fmt.Sprintf(format, args...)
	t.mu.Unlock()
	runtime.Goexit()
}

func (t *recordingT) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures) > 0
}

func (t *recordingT) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// judge holds drivers to a promise, and returns the test that it was.
func judge(t *testing.T, p Promise, patience time.Duration, open func() (daybook.Driver, func() daybook.Driver)) *recordingT {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	record := &recordingT{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// With one seed, whether a broken driver is found does not hang on luck.
		p.holdTo(&subject{tester: record, offers: offers{}, patience: patience, seed: 1, open: open})
	}()
	<-done
	cancel()
	for _, cleanup := range slices.Backward(record.cleanups) {
		cleanup()
	}
	return record
}

func promiseNamed(t *testing.T, name string) Promise {
	t.Helper()
	for _, p := range Promises() {
		if p.Feature.line(p.Name) == name {
			return p
		}
	}
	t.Fatalf("there is no promise %q", name)
	return Promise{}
}

func TestEveryPromiseIsBrokenByADriverThatBreaksIt(t *testing.T) {
	for _, p := range Promises() {
		drivers := brokenDrivers()[p.Feature.line(p.Name)]
		if len(drivers) == 0 {
			t.Errorf("no broken driver shows that the suite finds who breaks %q", p.Feature.line(p.Name))
		}
		for i, open := range drivers {
			t.Run(fmt.Sprintf("%s/%d", p.Feature.line(p.Name), i+1), func(t *testing.T) {
				t.Parallel()
				record := judge(t, p, 300*time.Millisecond, open)
				switch {
				case record.skipped != "":
					t.Errorf("the promise was skipped: %s", record.skipped)
				case !record.Failed():
					t.Errorf("a driver that breaks it passes")
				case !strings.Contains(strings.Join(record.failures, "\n"), p.Sentence):
					t.Errorf("the failure does not say what it means: %q", record.failures)
				default:
					t.Logf("%s", shorten(record.failures[0]))
				}
			})
		}
	}
	for name := range brokenDrivers() {
		promiseNamed(t, name)
	}
}

func TestDriversThatKeepEveryPromisePass(t *testing.T) {
	for name, open := range map[string]func() (daybook.Driver, func() daybook.Driver){
		"a driver that lasts":          openLasting(nil),
		"a faulty driver without cues": func() (daybook.Driver, func() daybook.Driver) { return NewFaulty(memory.New(nil)), nil },
	} {
		t.Run(name, func(t *testing.T) {
			durable := name == "a driver that lasts"
			for promise, found := range run(t, durable, func(*testing.T) (daybook.Driver, func() daybook.Driver) { return open() }) {
				if found != kept {
					t.Errorf("%s: %s", promise, found)
				}
			}
		})
	}
}

// bare has the methods of daybook.Driver only, and refuses every append that
// carries what a driver may leave out.
type bare struct{ daybook.Driver }

func (b bare) Name() string { return "bare" }

func (b bare) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	feature := ""
	if len(a.Changesets) > 1 {
		feature = "several streams"
	}
	if a.Condition != nil {
		feature = "conditions"
	}
	for _, c := range a.Changesets {
		if len(c.Claims)+len(c.Releases) > 0 {
			feature = "claims"
		}
		if len(c.References) > 0 {
			feature = "references"
		}
	}
	if feature != "" {
		return daybook.Receipt{}, &daybook.UnsupportedError{Driver: b.Name(), Feature: feature}
	}
	return b.Driver.Append(ctx, a)
}

func TestADriverMayLeaveOutWhatIsOptional(t *testing.T) {
	for name, open := range map[string]func() daybook.Driver{
		"bare":         func() daybook.Driver { return bare{memory.New(nil)} },
		"bare, faulty": func() daybook.Driver { return NewFaulty(bare{memory.New(nil)}) },
	} {
		t.Run(name, func(t *testing.T) {
			found := run(t, false, func(*testing.T) (daybook.Driver, func() daybook.Driver) { return open(), nil })
			for _, p := range Promises() {
				optional := slices.Index(features, p.Feature) > slices.Index(features, Closing) || len(p.needs) > 0
				is, looked := found[p.Feature.line(p.Name)]
				switch {
				case p.Feature == Reopening:
				case !looked:
					t.Errorf("%s was not looked at", p.Name)
				case optional && is != notOffered:
					t.Errorf("%s: %s, want not offered", p.Name, is)
				case !optional && is != kept:
					t.Errorf("%s: %s, want kept", p.Name, is)
				}
			}
		})
	}
}

func TestPromisesAreToldApart(t *testing.T) {
	names, sentences := map[string]bool{}, map[string]bool{}
	for _, p := range Promises() {
		if p.Name == "" || p.Sentence == "" || names[p.Feature.line(p.Name)] || sentences[p.Sentence] {
			t.Errorf("promise %q: its name and its sentence must be its own", p.Name)
		}
		names[p.Feature.line(p.Name)], sentences[p.Sentence] = true, true
		if !slices.Contains(Features(), p.Feature) {
			t.Errorf("promise %q has the unknown feature %q", p.Name, p.Feature)
		}
		if !strings.HasSuffix(p.Sentence, ".") || strings.HasSuffix(p.Name, ".") {
			t.Errorf("promise %q: a sentence ends with a full stop, a name does not", p.Name)
		}
	}
}
