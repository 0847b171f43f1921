package azureblob_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/verify"
)

// What tells this program that it is one of several processes of a test: the
// store, and which one it is.
const (
	processAddress = "DAYBOOK_TEST_PROCESS_ADDRESS"
	processName    = "DAYBOOK_TEST_PROCESS_NAME"
)

// What the processes of a test do.
const (
	processes       = 4
	processAppends  = 9 // of each
	processBlocks   = 5 // that a blob takes
	sharedStream    = "shared-1"
	processPatience = 100 // conflicts in a row
)

func TestMain(m *testing.M) {
	if address := os.Getenv(processAddress); address != "" {
		if err := work(context.Background(), address, os.Getenv(processName)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// said is the data of an event: who appended it, and which of his it is.
type said struct {
	Who    string `json:"who"`
	N      int    `json:"n"`
	Before int64  `json:"before"` // the version of the shared stream that it was decided on
}

// work appends to a stream of its own and to a shared one, both at once, and
// says each append that was acknowledged.
func work(ctx context.Context, address, name string) error {
	d, err := azureblob.Open(ctx, address, azureblob.WithBlocks(*patient(), processBlocks))
	if err != nil {
		return err
	}
	defer d.Close()
	store := daybook.New(d, nil)
	for n := range processAppends {
		for try := 0; ; try++ {
			err := decide(ctx, store, name, n)
			if err == nil {
				break
			}
			if !errors.Is(err, daybook.ErrConflict) || try == processPatience {
				return err
			}
		}
		fmt.Println(n)
	}
	return nil
}

// decide appends the nth events of a process.
func decide(ctx context.Context, store *daybook.Store, name string, n int) error {
	head, err := store.Head(ctx, daybook.Stream(sharedStream))
	if err != nil {
		return err
	}
	data, err := json.Marshal(said{Who: name, N: n, Before: int64(head.Version)})
	if err != nil {
		return err
	}
	e := daybook.Event{Type: "said", Data: data, Tags: []string{"who:" + name}}
	_, err = store.AppendAll(ctx, daybook.Append{ID: daybook.IDOf(fmt.Sprint(name, n)), Changesets: []daybook.Changeset{
		{Stream: daybook.Stream("own-" + name), Expect: daybook.ExpectVersion(daybook.Version(2 * n)), Events: []daybook.Event{e, e}},
		{Stream: daybook.Stream(sharedStream), Expect: daybook.ExpectVersion(head.Version), Events: []daybook.Event{e}},
	}})
	return err
}

// TestAKilledProcessLeavesAllOrNothing runs processes that append to one log,
// and kills one of them in a phase of the append.
func TestAKilledProcessLeavesAllOrNothing(t *testing.T) {
	service := serviceURL(t)
	for name, phase := range map[string]struct {
		kind  string
		after bool // the request is carried out
	}{
		"before a block is stored":                  {"append", false},
		"after a block is stored":                   {"append", true},
		"before the next blob is made":              {"create", false},
		"after the next blob is made, with nothing": {"create", true},
		"while it reads what others have stored":    {"read", false},
		"after it has read what others have stored": {"read", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(service, processBlocks)
			container := freshContainer()
			// The first blob is made, so that each one made later is a roll-over.
			store := daybook.New(open(t, addressAt(proxyTo(t, g).url, container), azureblob.WithBlocks(*patient(), processBlocks)), nil)
			if _, err := store.Append(t.Context(), daybook.Stream("first-1"), daybook.ExpectNone(), daybook.Event{Type: "said", Data: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			acknowledged := make([]int, processes)
			killed := make(chan struct{})
			var running sync.WaitGroup
			for i := range processes {
				p := proxyTo(t, g)
				child := exec.CommandContext(t.Context(), os.Args[0])
				child.Env = append(os.Environ(), processAddress+"="+addressAt(p.url, container), processName+"="+fmt.Sprint(i))
				started := make(chan *os.Process, 1)
				if i == 0 {
					p.onCue(killing(started, killed, phase.kind, phase.after))
				} else if phase.kind == "create" { // that is for the one that is killed
					p.onCue(func(kind string, _ int) fault {
						if kind == "create" {
							return fault{before: func() { <-killed }}
						}
						return fault{}
					})
				}
				running.Go(func() { acknowledged[i] = follow(t, child, started, i == 0) })
			}
			running.Wait()
			if acknowledged[0] == processAppends {
				t.Error("nobody was killed")
			}
			checkSaid(t, store, acknowledged)
		})
	}
}

// killing is a cue that kills a process at its third request of a kind, or the
// first one where a blob is made.
func killing(started <-chan *os.Process, killed chan<- struct{}, wanted string, after bool) func(string, int) fault {
	var once sync.Once
	at := 3
	if wanted == "create" {
		at = 1
	}
	return func(kind string, n int) fault {
		if kind != wanted || n < at {
			return fault{}
		}
		kill := func() {
			once.Do(func() {
				_ = (<-started).Kill()
				close(killed)
			})
		}
		if after {
			return fault{cut: true, after: kill}
		}
		return fault{lost: true, before: kill}
	}
}

// follow runs a process and returns how many of its appends were acknowledged.
func follow(t *testing.T, child *exec.Cmd, started chan<- *os.Process, killed bool) (acknowledged int) {
	out, err := child.StdoutPipe()
	child.Stderr = os.Stderr
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	started <- child.Process
	for lines := bufio.NewScanner(out); lines.Scan(); {
		acknowledged++
	}
	if err := child.Wait(); err != nil && !killed {
		t.Errorf("a process: %v", err)
	}
	return acknowledged
}

// checkSaid holds the log to what the processes were told.
func checkSaid(t *testing.T, store *daybook.Store, acknowledged []int) {
	t.Helper()
	for i, n := range acknowledged {
		own := records(t, store.ReadStream(t.Context(), daybook.Stream(fmt.Sprint("own-", i)), daybook.StreamRead{}))
		if len(own) != 2*n && (i != 0 || len(own) != 2*(n+1)) {
			t.Errorf("of process %d %d appends were acknowledged, and its stream has %d records", i, n, len(own))
		}
		for j, r := range own {
			if data := saidIn(t, r); data.N != j/2 || data.Who != fmt.Sprint(i) {
				t.Errorf("version %d of process %d is %+v", r.Version, i, data)
			}
		}
	}
	for _, r := range records(t, store.ReadStream(t.Context(), daybook.Stream(sharedStream), daybook.StreamRead{})) {
		if data := saidIn(t, r); data.Before != int64(r.Version)-1 {
			t.Errorf("version %d of the shared stream was decided on %d", r.Version, data.Before)
		}
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("what was found: %v (%v)", report.Findings, err)
	}
}

func saidIn(t *testing.T, r daybook.Record) (data said) {
	t.Helper()
	if err := json.Unmarshal(r.Data, &data); err != nil {
		t.Errorf("position %d: %v", r.Position, err)
	}
	return data
}
