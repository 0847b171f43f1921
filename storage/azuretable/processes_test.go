package azuretable_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azuretable"
)

// What tells this program that it is one of several processes of a test: the
// store, its name, and when it is to end itself, if it is: at the third request
// of a kind, before it is sent or after it was carried out.
const (
	processURL  = "DAYBOOK_TEST_PROCESS_URL"
	processName = "DAYBOOK_TEST_PROCESS_NAME"
	processEnds = "DAYBOOK_TEST_PROCESS_ENDS"
)

// perProcess is how many appends each process makes.
const perProcess = 30

func TestMain(m *testing.M) {
	if address := os.Getenv(processURL); address != "" {
		if err := work(context.Background(), address, os.Getenv(processName)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// told is a line that a process writes for each append that was acknowledged.
type told struct {
	ID       daybook.ID
	Position daybook.Position
	Ordinal  daybook.Ordinal
}

// work appends to streams of its own and to shared ones, and tells what was
// acknowledged.
func work(ctx context.Context, address, name string) error {
	d, err := azuretable.Open(ctx, address, &azuretable.Options{Client: &http.Client{Transport: &suicidal{at: os.Getenv(processEnds)}}})
	if err != nil {
		return err
	}
	store := daybook.New(d, nil)
	var group errgroup.Group
	for w := range 2 {
		group.Go(func() error {
			for i := range perProcess / 2 {
				a := daybook.Append{ID: daybook.IDOf(fmt.Sprint(name, w, "/", i)), Changesets: []daybook.Changeset{
					{Stream: daybook.Stream("own-" + name), Events: []daybook.Event{event("own"), event("own")}},
					{Stream: daybook.Stream("shared-1"), Events: []daybook.Event{event("shared")}},
				}}
				receipt, err := store.AppendAll(ctx, a)
				if err != nil {
					return err
				}
				line, err := json.Marshal(told{a.ID, receipt.Position(), receipt.Changesets[0].Ordinal})
				if err != nil {
					return err
				}
				fmt.Println(string(line))
			}
			return nil
		})
	}
	return errors.Join(group.Wait(), store.Close())
}

// suicidal sends requests, and ends its process in the middle.
type suicidal struct {
	at    string // "after create page"
	times atomic.Int32
}

func (s *suicidal) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	when, what, _ := strings.Cut(s.at, " ")
	ends := what != "" && kind(r, body) == what && s.times.Add(1) == 3
	if ends && when == "before" {
		end()
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if ends {
		end()
	}
	return response, err
}

// end ends the process as a lost machine does: nothing is put in order.
func end() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

func TestFourProcessesOfWhichOneDiesLeaveOneOrder(t *testing.T) {
	for _, ends := range []string{"before create page", "after create page", "before settle", "after settle", "before mark settled"} {
		t.Run("dies "+ends, func(t *testing.T) {
			t.Parallel()
			address := freshURL(t)
			store := daybook.New(open(t, address, nil), nil)
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
			defer stop()
			// A follower sees every record once, in order, whoever dies.
			var seen []daybook.Record
			following := make(chan error, 1)
			go func() {
				for r, err := range store.Follow(ctx, daybook.LogRead{}) {
					if err != nil {
						following <- err
						return
					}
					if r.Type == "last" {
						break
					}
					seen = append(seen, r)
				}
				following <- nil
			}()
			acknowledged := runFour(ctx, t, address, ends)
			if _, err := store.Append(ctx, daybook.Stream("last-1"), daybook.ExpectNone(), event("last")); err != nil {
				t.Fatal(err)
			}
			if err := <-following; err != nil {
				t.Fatal(err)
			}
			log := records(t, store.ReadLog(t.Context(), daybook.LogRead{}))
			sound(t, store, len(log))
			if len(seen) != len(log)-1 {
				t.Errorf("the follower has seen %d records, the log has %d before the last", len(seen), len(log)-1)
			}
			for i := range min(len(seen), len(log)) {
				if seen[i].ID != log[i].ID || log[i].Position != daybook.Position(i+1) {
					t.Fatalf("record %d has position %d, and is not the one that the follower saw", i+1, log[i].Position)
				}
			}
			checkTold(t, log, acknowledged)
		})
	}
}

// runFour runs four processes, of which the first ends itself, and returns what
// they told.
func runFour(ctx context.Context, t *testing.T, address, ends string) (all []told) {
	t.Helper()
	var group errgroup.Group
	outputs := make([]bytes.Buffer, 4)
	for p := range outputs {
		c := exec.CommandContext(ctx, os.Args[0])
		c.Env = append(os.Environ(), processURL+"="+address, fmt.Sprintf("%s=p%d", processName, p))
		if p == 0 {
			c.Env = append(c.Env, processEnds+"="+ends)
		}
		var problems bytes.Buffer
		c.Stdout, c.Stderr = &outputs[p], &problems
		group.Go(func() error {
			err := c.Run()
			switch {
			case p > 0 && err != nil:
				return fmt.Errorf("process %d: %w: %s", p, err, problems.String())
			case p == 0 && (err == nil || problems.Len() > 0):
				return fmt.Errorf("process 0 was to die %s, and did not: %s", ends, problems.String())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for p := range outputs {
		lines := 0
		for line := range strings.Lines(outputs[p].String()) {
			var one told
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				if p == 0 {
					break // it died while it wrote
				}
				t.Fatalf("process %d said %q", p, line)
			}
			all = append(all, one)
			lines++
		}
		if p > 0 && lines != perProcess {
			t.Errorf("process %d was told of %d appends, want %d", p, lines, perProcess)
		}
	}
	return all
}

// checkTold holds the log against what was acknowledged.
func checkTold(t *testing.T, log []daybook.Record, acknowledged []told) {
	t.Helper()
	last, ordinals, count := map[daybook.ID]daybook.Position{}, map[daybook.ID]daybook.Ordinal{}, map[daybook.ID]int{}
	for _, r := range log {
		id := r.Changeset.AppendID
		if count[id]++; count[id] == 1 {
			ordinals[id] = r.Changeset.Ordinal
		}
		last[id] = r.Position
	}
	for _, a := range acknowledged {
		if last[a.ID] != a.Position || ordinals[a.ID] != a.Ordinal || count[a.ID] != 3 {
			t.Errorf("append %s was acknowledged at position %d, ordinal %d; the log has %d records of it, up to position %d, ordinal %d",
				a.ID, a.Position, a.Ordinal, count[a.ID], last[a.ID], ordinals[a.ID])
		}
	}
	for id, n := range count {
		if n != 3 && id != log[len(log)-1].Changeset.AppendID {
			t.Errorf("of append %s there are %d records, want all 3", id, n)
		}
	}
}
