package measure_test

import (
	"os"
	"testing"
	"time"

	"github.com/daybook-go/daybook/bench/measure"
)

func TestQuantilesAreThoseOfTheCallsOfAllWriters(t *testing.T) {
	all := measure.NewLatencies()
	for writer := range 10 {
		one := measure.NewLatencies()
		for i := range 100 {
			one.Add(time.Duration(writer*100+i+1) * time.Microsecond)
		}
		all.Merge(one)
	}
	if all.Count() != 1000 {
		t.Fatalf("counted %d calls, want 1000", all.Count())
	}
	for part, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 0.999: 999 * time.Microsecond} {
		if got := all.Quantile(part); got < want*98/100 || got > want*102/100 {
			t.Errorf("quantile %v is %v, want %v within two parts in a hundred", part, got, want)
		}
	}
}

func TestAResidentByteIsCountedAndAFreedOneIsNot(t *testing.T) {
	const size = 64 << 20
	before, err := measure.Resident()
	if err != nil {
		t.Skip("the memory of a process cannot be told here: ", err)
	}
	held := make([]byte, size)
	for i := range held {
		held[i] = byte(i)
	}
	during, _ := measure.Resident()
	if during-before < size*9/10 {
		t.Errorf("%d bytes were filled, but only %d became resident", size, during-before)
	}
	held[0]++ // it must live until here
	held = nil
	after, _ := measure.Resident()
	if during-after < size/2 {
		t.Errorf("%d bytes were freed, but only %d are no longer resident", size, during-after)
	}
}

func TestProcessorTimeOfThisProcessIsFoundUnderProc(t *testing.T) {
	for spin := 0; measure.Processor() < 100*time.Millisecond; spin++ {
	}
	own, told := measure.Processor(), measure.ProcessorOf(os.Getpid())
	if told < 50*time.Millisecond || told > own+time.Second {
		t.Errorf("/proc tells %v of processor time, getrusage %v", told, own)
	}
	if measure.ParentOf(os.Getpid()) != os.Getppid() {
		t.Errorf("the parent is %d, want %d", measure.ParentOf(os.Getpid()), os.Getppid())
	}
}

func TestAWindowCountsWhatEndsWithinItAndAtLeastOneCall(t *testing.T) {
	begin := time.Now()
	window, latencies := measure.NewWindow(time.Hour, time.Hour), measure.NewLatencies()
	at := func(offset time.Duration) time.Time { return begin.Add(offset) }
	for _, call := range []struct {
		ended         time.Duration
		counted, more bool
	}{
		{30 * time.Minute, false, true},
		{90 * time.Minute, true, true},
		{121 * time.Minute, false, false},
	} {
		counted, more := window.Count(latencies, begin, at(call.ended))
		if counted != call.counted || more != call.more {
			t.Errorf("a call that ended after %v: counted %v, more %v; want %v, %v", call.ended, counted, more, call.counted, call.more)
		}
	}
	slow := measure.NewWindow(0, time.Nanosecond)
	if counted, more := slow.Count(latencies, begin, at(time.Minute)); !counted || more {
		t.Errorf("the only call, which came late: counted %v, more %v; want true, false", counted, more)
	}
	if open := slow.WaitClosed(t.Context()); open < time.Nanosecond {
		t.Errorf("the window was open for %v", open)
	}
	if latencies.Count() != 2 {
		t.Errorf("%d calls are counted, want 2", latencies.Count())
	}
}
