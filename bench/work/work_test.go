package work_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook/bench/work"
)

// TestMain plays the other side of the HTTP work when a test starts it as such.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "client" {
		if err := work.Client(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const moment = 40 * time.Millisecond

// do does a task and fails the test if it cannot be done.
func do(t *testing.T, task work.Task) work.Result {
	t.Helper()
	result, err := work.Run(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if result.Absent != "" {
		t.Skip("SKIPPED, its figures will be missing: ", result.Absent)
	}
	return result
}

// wantMeasured fails unless the result tells what any work does.
func wantMeasured(t *testing.T, result work.Result) {
	t.Helper()
	if result.Events <= 0 || result.Elapsed <= 0 || result.Rate() <= 0 || result.Processor <= 0 {
		t.Errorf("nothing was measured: %+v", result)
	}
}

func TestAppendsOfEachKindAreMeasured(t *testing.T) {
	for _, kind := range []string{"append", "append-tagged", "append-if-never", "append-if-own", "contend-tag", "contend-stream"} {
		for _, contender := range []string{"daybook", "daybook-memory"} {
			t.Run(kind+"/"+contender, func(t *testing.T) {
				result := do(t, work.Task{Work: kind, Contender: contender, Dir: t.TempDir(), Duration: moment, Bytes: 256, Writers: 4, Group: 2})
				wantMeasured(t, result)
				if result.Events%2 != 0 || result.P50 <= 0 || result.P50 > result.P99 || result.P99 > result.P999 {
					t.Errorf("the figures contradict each other: %+v", result)
				}
				if own := !strings.HasPrefix(kind, "contend"); own && result.Refused != 0 {
					t.Errorf("%d appends to own boundaries were refused", result.Refused)
				}
			})
		}
	}
}

func TestTheBoundsAreMeasured(t *testing.T) {
	for contender, writers := range map[string]int{"R": 16, "bare": 1} {
		result := do(t, work.Task{Work: "append", Contender: contender, Dir: t.TempDir(), Duration: moment, Bytes: 256, Writers: writers, Group: 1})
		wantMeasured(t, result)
	}
}

func TestAContenderWithoutConditionsSaysSo(t *testing.T) {
	result, err := work.Run(t.Context(), work.Task{Work: "append-if-own", Contender: "pebble", Dir: t.TempDir(), Duration: moment, Bytes: 256, Writers: 1, Group: 1})
	if err != nil || !strings.Contains(result.Absent, "no conditions") {
		t.Errorf("result %+v, error %v; want that it has no conditions", result, err)
	}
}

func TestWhatWasLoadedIsReplayedWholeByStreamAndByTag(t *testing.T) {
	for _, contender := range []string{"daybook", "sqlite", "pebble", "bbolt", "jetstream"} {
		t.Run(contender, func(t *testing.T) {
			task := work.Task{Work: "load", Contender: contender, Dir: t.TempDir(), Duration: time.Millisecond, Bytes: 256, Records: 5000, Streams: 50}
			if loaded := do(t, task); loaded.Events != task.Records {
				t.Fatalf("%d records were loaded, want %d", loaded.Events, task.Records)
			}
			kinds := []string{"replay-stream", "open"}
			if contender != "pebble" && contender != "bbolt" {
				kinds = append(kinds, "replay", "replay-typed")
			}
			if contender == "daybook" {
				kinds = append(kinds, "replay-tag")
			}
			for _, kind := range kinds {
				task.Work = kind
				wantMeasured(t, do(t, task))
			}
			if contender == "daybook" {
				task.Contender, task.Work = work.BareScan, "replay"
				if result := do(t, task); result.Events%task.Records != 0 {
					t.Errorf("the scan found %d records, want a multiple of %d", result.Events, task.Records)
				}
			}
		})
	}
}

func TestASetThatMissesARecordIsNoticed(t *testing.T) {
	task := work.Task{Work: "load", Contender: "daybook", Dir: t.TempDir(), Duration: time.Millisecond, Bytes: 256, Records: 1000, Streams: 10}
	do(t, task)
	task.Records = 2000
	for _, kind := range []string{"replay", "replay-stream", "open"} {
		task.Work = kind
		if result, err := work.Run(t.Context(), task); err == nil {
			t.Errorf("%s of 2,000 records where there are 1,000 gave %+v", kind, result)
		}
	}
}

func TestHTTPAppendsAreAnsweredByEachHandler(t *testing.T) {
	for _, contender := range []string{"handler", "handler-split", "daybook", "daybook-memory"} {
		t.Run(contender, func(t *testing.T) {
			task := work.Task{Work: "http-append", Contender: contender, Dir: t.TempDir(), Duration: moment, Bytes: 256, Writers: 3, Group: 5}
			result := do(t, task)
			wantMeasured(t, result)
			if result.Events%5 != 0 {
				t.Errorf("%d events came in requests of five", result.Events)
			}
			task.Volatile = true
			wantMeasured(t, do(t, task))
		})
	}
}

func TestALiveTailReachesEveryReader(t *testing.T) {
	for _, contender := range []string{"coalescing", "daybook", "daybook-memory"} {
		t.Run(contender, func(t *testing.T) {
			result := do(t, work.Task{Work: "http-tail", Contender: contender, Dir: t.TempDir(), Bytes: 256, Writers: 20, Records: 1000, Group: 100})
			wantMeasured(t, result)
			if result.Events != 1000 {
				t.Errorf("%d events were told, want 1,000", result.Events)
			}
		})
	}
}

func TestUnknownNamesAreErrors(t *testing.T) {
	for _, task := range []work.Task{
		{Work: "sleep", Contender: "daybook"},
		{Work: "append", Contender: "nobody", Writers: 1, Group: 1, Bytes: 256},
		{Work: "load", Contender: "daybook", Records: 10, Streams: 3, Bytes: 256},
		{Work: "append", Contender: "daybook", Writers: 1, Group: 1, Bytes: 10},
	} {
		task.Dir = t.TempDir()
		if _, err := work.Run(t.Context(), task); err == nil {
			t.Errorf("%+v was done", task)
		}
	}
}

func TestATaskIsTheSameBehindThePipe(t *testing.T) {
	task := work.Task{Work: "append", Contender: "R", Duration: time.Second, Bytes: 256, Writers: 16, Group: 1, Volatile: true, Killed: true}
	encoded, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	var decoded work.Task
	if err := json.Unmarshal(encoded, &decoded); err != nil || decoded != task {
		t.Errorf("%+v became %+v (error %v)", task, decoded, err)
	}
}

func TestKindsAreNamedOnce(t *testing.T) {
	var names []string
	for _, kind := range work.Kinds() {
		if slices.Contains(names, kind.Name) {
			t.Errorf("two kinds are called %s", kind.Name)
		}
		names = append(names, kind.Name)
	}
}
