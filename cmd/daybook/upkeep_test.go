package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/memory"
)

// handClock is a clock that a test moves. Who waits for a time says so first.
type handClock struct {
	mu    sync.Mutex
	now   time.Time
	waits chan time.Duration // of who waits
	moved chan struct{}      // lets him go
}

func newHandClock() *handClock {
	return &handClock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), waits: make(chan time.Duration), moved: make(chan struct{})}
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// wait stands for sleep.
func (c *handClock) wait(ctx context.Context, d time.Duration) error {
	for _, step := range []func() bool{
		func() bool {
			select {
			case c.waits <- d:
				return true
			case <-ctx.Done():
				return false
			}
		},
		func() bool {
			select {
			case <-c.moved:
				return true
			case <-ctx.Done():
				return false
			}
		},
	} {
		if !step() {
			return ctx.Err()
		}
	}
	return nil
}

// pass waits until somebody waits, lets that time pass, and returns how long it
// was.
func (c *handClock) pass() time.Duration {
	d := <-c.waits
	c.move(d)
	c.moved <- struct{}{}
	return d
}

// lockedLog is where a server logs to.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// take returns what was logged since it was called last.
func (l *lockedLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	l.text.Reset()
	return text
}

// keeping is an upkeep under test, which runs.
type keeping struct {
	*upkeep
	clock *handClock
	log   *lockedLog
	store *daybook.Store
	slept time.Duration // by pauses; it is read while the upkeep waits
}

func keep(t *testing.T, driver daybook.Driver, flags upkeepFlags) *keeping {
	t.Helper()
	if flags.retainEvery == "" {
		flags.retainEvery = "1h"
	}
	k := &keeping{clock: newHandClock(), log: &lockedLog{}, store: daybook.New(driver, nil)}
	u, err := newUpkeep(&flags, slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.of(driver, k.store); err != nil {
		t.Fatal(err)
	}
	u.now, u.wait = k.clock.Now, k.clock.wait
	u.pause = func(ctx context.Context, d time.Duration) error {
		k.slept += d
		k.clock.move(d)
		return ctx.Err()
	}
	k.upkeep = u
	t.Cleanup(u.start(t.Context()))
	return k
}

func (k *keeping) add(t *testing.T, stream string, n int) {
	t.Helper()
	for range n {
		event := daybook.Event{Type: "t", Data: []byte(`"secret"`)}
		if _, err := k.store.Append(t.Context(), daybook.Stream(stream), daybook.ExpectAny(), event); err != nil {
			t.Fatal(err)
		}
	}
}

func (k *keeping) wantRecords(t *testing.T, stream string, want int64) {
	t.Helper()
	head, err := k.store.Head(t.Context(), daybook.Stream(stream))
	if got := int64(head.Version-head.First) + 1; err != nil || head.Version > 0 && got != want || head.Version == 0 && want != 0 {
		t.Errorf("%s has %d records, %v; want %d", stream, got, err, want)
	}
}

func (k *keeping) wantLogged(t *testing.T, texts ...string) {
	t.Helper()
	log := k.log.take()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("the log does not have %q: %s", text, log)
		}
	}
}

func TestServerHoldsStreamsToItsRules(t *testing.T) {
	driver := memory.New(&memory.Options{Now: newHandClock().Now}) // all is recorded when it begins
	k := keep(t, driver, upkeepFlags{retain: []string{"sensor=3", "*=30m", "session=5"}, retainEvery: "10m"})
	k.add(t, "sensor-1", 9)
	k.add(t, "session-1", 9)
	k.add(t, "other-1", 9)
	if first := k.clock.pass(); first != 0 {
		t.Errorf("the first retention waits for %v", first)
	}
	if again := k.clock.pass(); again != 10*time.Minute {
		t.Errorf("the next one comes after %v", again)
	}
	k.clock.pass() // the second one has ended
	k.wantRecords(t, "sensor-1", 3)
	k.wantRecords(t, "session-1", 5)
	k.wantRecords(t, "other-1", 9)
	k.wantLogged(t, `level=INFO msg="retention done" streams=3 trimmed=2 emptied=0 records=10`, `level=DEBUG msg="retention done"`)
	for range 2 {
		k.clock.pass() // 40 minutes have passed
	}
	<-k.clock.waits
	k.wantRecords(t, "sensor-1", 3)
	k.wantRecords(t, "other-1", 0)
	for made, err := range k.store.ReadDeletions(t.Context(), daybook.DeletionRead{Limit: 1}) {
		if err != nil || made.Who != "daybook serve" || made.Why != "retention" {
			t.Errorf("recorded is %+v, %v", made, err)
		}
	}
}

func TestServerLetsOthersGoFirstWhileItRetains(t *testing.T) {
	k := keep(t, memory.New(nil), upkeepFlags{retain: []string{"s=1"}})
	const streams = 200
	for n := range streams {
		k.add(t, fmt.Sprint("s-", n), 2)
	}
	k.clock.pass()
	<-k.clock.waits
	if least := streams * (perStream + perDeletion) * 9 / 10; k.slept < least {
		t.Errorf("it paused for %v, want at least %v", k.slept, least)
	}
}

func TestServerCompactsWhatWasDeleted(t *testing.T) {
	dir := t.TempDir()
	driver, err := disk.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	k := keep(t, driver, upkeepFlags{retain: []string{"guest=1"}, compact: "6h", compactRate: 1 << 10})
	k.add(t, "guest-1", 10)
	k.clock.pass() // retention comes first
	k.clock.pass() // then compaction
	if next := <-k.clock.waits; next > time.Hour || next <= 0 {
		t.Errorf("the next thing is due after %v", next)
	}
	k.wantLogged(t, "records=9", `level=INFO msg="compaction done" segments=1 changesets=9`, "last_deletion=1")
	if n := k.carriedOut; n != 1 {
		t.Errorf("carried out is deletion %d", n)
	}
	if _, err := driver.Compact(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if report, err := disk.Check(t.Context(), dir, &disk.CheckOptions{Deep: true}); err != nil || !report.OK() {
		t.Errorf("check: %v, %v", report.Problems, err)
	}
}

// So many bytes a second are read and written, and no more.
func TestServerCompactsAtItsRate(t *testing.T) {
	k := keep(t, memory.New(nil), upkeepFlags{retain: []string{"s=1"}, compactRate: 1 << 20})
	<-k.clock.waits
	k.compact = func(ctx context.Context, o *disk.CompactOptions) (disk.CompactReport, error) {
		for range 30 {
			k.clock.move(100 * time.Millisecond) // it takes to work
			if err := o.Pace(ctx, 1<<20); err != nil {
				return disk.CompactReport{}, err
			}
		}
		return disk.CompactReport{LastDeletion: 7}, nil
	}
	begun := k.clock.Now()
	if err := k.compactOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := k.clock.Now().Sub(begun); took < 29*time.Second || took > 31*time.Second {
		t.Errorf("30 MiB at 1 MiB a second take %v", took)
	}
	if k.carriedOut != 7 {
		t.Errorf("carried out is deletion %d", k.carriedOut)
	}
}

func TestServerTriesAgainWhatFailed(t *testing.T) {
	dir := t.TempDir()
	driver, err := disk.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	k := keep(t, driver, upkeepFlags{compact: "1h"})
	<-k.clock.waits // nothing has begun
	tries := 0
	whole := k.compact
	k.compact = func(ctx context.Context, o *disk.CompactOptions) (disk.CompactReport, error) {
		if tries++; tries == 1 {
			return disk.CompactReport{LastDeletion: 9}, errors.New("the disk is tired")
		}
		return whole(ctx, o)
	}
	k.clock.moved <- struct{}{}
	if again := k.clock.pass(); again != time.Hour {
		t.Errorf("it is tried again after %v", again)
	}
	<-k.clock.waits
	k.wantLogged(t, `level=ERROR msg="compaction failed; it is tried again" after=1h0m0s error="the disk is tired"`, `msg="compaction done"`)
	if tries != 2 || k.carriedOut != 0 {
		t.Errorf("%d tries, carried out is deletion %d", tries, k.carriedOut)
	}
}

func TestRulesOfRetentionAreRead(t *testing.T) {
	rules, err := parseRetain([]string{"*=365d", "session=90d", "a=b=10", "session=5000"})
	day := 24 * time.Hour
	want := []daybook.RetentionRule{
		{Filter: daybook.Filter{StreamTypes: []string{"session"}}, Keep: 5000, MaxAge: 90 * day},
		{Filter: daybook.Filter{StreamTypes: []string{"a=b"}}, Keep: 10},
		{MaxAge: 365 * day},
	}
	if err != nil || !reflect.DeepEqual(rules, want) {
		t.Errorf("%+v, %v", rules, err)
	}
	for _, wrong := range []string{"", "session", "=90d", "session=", "session=0", "session=-3", "session=0d", "session=many"} {
		if _, err := parseRetain([]string{wrong}); err == nil || exitOf(err) != exitUsage {
			t.Errorf("--retain %q: %v", wrong, err)
		}
	}
}
