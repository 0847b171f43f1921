package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

// What tells this program that it is one of several processes of a test: the
// store, its name, and the ids of what it appends.
const (
	processURL  = "DAYBOOK_TEST_PROCESS_URL"
	processName = "DAYBOOK_TEST_PROCESS_NAME"
	processID   = "DAYBOOK_TEST_PROCESS_ID"
)

func TestMain(m *testing.M) {
	address := os.Getenv(processURL)
	if address == "" {
		os.Exit(m.Run())
	}
	d, err := dynamodb.Open(context.Background(), address, quick(dynamodb.Options{}))
	if err == nil && os.Getenv(processID) != "" {
		_, err = d.Append(context.Background(), lastWords())
	} else if err == nil {
		err = takeTurns(d, os.Getenv(processName))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// process is this program as one of several.
func process(t testing.TB, address, name, id string) *exec.Cmd {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), processURL+"="+address, processName+"="+name, processID+"="+id, "GORACE=atexit_sleep_ms=0")
	command.Stderr = os.Stderr
	return command
}

// turns is how many decisions each process makes.
const turns = 12

// takeTurns adds to a stream that all processes count in, each time on what it
// has just read there, and moves a claim that all want.
func takeTurns(d *dynamodb.Driver, name string) error {
	ctx := context.Background()
	store := daybook.NewID()
	for turn := range turns {
		for try := 0; ; try++ {
			head, err := d.Head(ctx, daybook.Stream("count"))
			if err != nil {
				return err
			}
			c := changeset("count", "counted", 1)
			c.Events[0].Data = fmt.Appendf(nil, `%d`, head.Version+1)
			c.Expect = daybook.ExpectVersion(head.Version)
			mine := changeset("own-"+name, "turn", 1)
			mine.Claims = []daybook.Claim{{Kind: "turn", Value: fmt.Sprintf("%s-%d", name, turn)}}
			a := appendOf(c, mine)
			a.ID = daybook.IDOf(fmt.Sprint(store, turn, try))
			_, err = d.Append(ctx, a)
			if err == nil {
				break
			}
			if !errors.Is(err, daybook.ErrConflict) {
				return err
			}
		}
	}
	return d.Close()
}

func TestFourProcessesDecideAsOne(t *testing.T) {
	const processes = 4
	address := urlOf(endpoint(t), freshTable(t))
	d := open(t, address, dynamodb.Options{})
	var running []*exec.Cmd
	for i := range processes {
		command := process(t, address, fmt.Sprint(i), "")
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, command)
	}
	for _, command := range running {
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	}
	version := daybook.Version(0)
	for r, err := range d.ReadStream(t.Context(), daybook.Stream("count"), daybook.StreamRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		if version++; string(r.Data) != fmt.Sprint(version) || r.Version != version {
			t.Fatalf("version %d says that it is %s: two decided on the same state", r.Version, r.Data)
		}
	}
	if version != processes*turns {
		t.Errorf("%d decisions, want %d", version, processes*turns)
	}
	mustBeSound(t, d)
}

// lastWords is the append during which a process is killed: all that an append
// can do.
func lastWords() daybook.Append {
	c := changeset("count", "last", 2)
	c.Claims, c.References = []daybook.Claim{{Kind: "word", Value: "last"}}, []daybook.StreamID{daybook.Stream("before")}
	for i := range c.Events {
		c.Events[i].ID = daybook.IDOf(fmt.Sprint("last words ", i))
	}
	fresh := changeset("fresh "+os.Getenv(processID), "last", 1)
	fresh.Events[0].ID = daybook.IDOf("fresh words")
	return daybook.Append{ID: daybook.IDOf(os.Getenv(processID)), Changesets: []daybook.Changeset{c, fresh}}
}

// TestKilledInEveryPhase kills a process at each of its requests, before it
// arrives and when it was carried out. Whatever it was at, the store is sound,
// goes on, and knows whether the append is stored.
func TestKilledInEveryPhase(t *testing.T) {
	table := freshTable(t)
	direct := urlOf(endpoint(t), table)
	d := open(t, direct, dynamodb.Options{})
	mustAppend(t, d, appendOf(changeset("before", "ours", 1)))
	var seen []string
	applied := 0
	for _, what := range []fault{cutUnapplied, cutApplied} {
		for phase := 1; ; phase++ {
			var command *exec.Cmd
			requests := 0
			started := make(chan struct{})
			proxy := startProxy(t, func(r *request) fault {
				<-started
				if requests++; requests < phase {
					return pass
				}
				if requests == phase {
					seen = append(seen, r.operation)
				}
				if requests == phase && what == cutApplied {
					return what // what has no answer is sent again, and ends it then
				}
				_ = command.Process.Kill()
				return cutUnapplied
			})
			name := fmt.Sprintf("phase %d of %d", phase, what)
			command = process(t, urlOf(proxy, table), "", name)
			command.Stderr = nil
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			close(started)
			survived := command.Wait() == nil
			t.Setenv(processID, name)
			if mustAppend(t, d, lastWords()).Repeated && !survived {
				applied++
			}
			mustBeSound(t, open(t, direct, dynamodb.Options{}))
			if survived {
				break
			}
			if phase > 40 {
				t.Fatal("an append takes more than forty requests")
			}
		}
	}
	if !slices.Contains(seen, "TransactWriteItems") || !slices.Contains(seen, "UpdateItem") || applied == 0 {
		t.Errorf("the kills met %v, and %d appends were stored: not every phase was met", seen, applied)
	}
	t.Logf("killed at %v; %d of the appends were stored", seen, applied)
}
