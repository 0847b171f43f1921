package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/daybook-go/daybook"
)

// witness keeps a history of calls of a server that is killed and started again.
type witness struct {
	start time.Time

	mu       sync.Mutex
	history  []porcupine.Operation
	deaths   []int64 // when each server was gone, for sure
	answered int
	moved    *sync.Cond // answered, life, over or late has changed
	life     int        // counts the servers
	url      string
	over     bool
	late     bool
}

func newWitness() *witness {
	w := &witness{start: time.Now()}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// server waits for a server that was started after the one of a life; none: it
// is over.
func (w *witness) server(after int) (url string, life int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.life <= after && !w.over {
		w.moved.Wait()
	}
	if w.over {
		return "", 0
	}
	return w.url, w.life
}

func (w *witness) serve(url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.url = url
	w.life++
	w.moved.Broadcast()
}

// bury notes that the server is gone: what it did not answer it has done by now,
// or will never do.
func (w *witness) bury() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaths = append(w.deaths, int64(time.Since(w.start)))
}

func (w *witness) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.moved.Broadcast()
}

// await waits until so many more calls are answered, or a client has failed.
func (w *witness) await(t *testing.T, n int) {
	t.Helper()
	patience := time.AfterFunc(5*time.Minute, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.late = true
		w.moved.Broadcast()
	})
	defer patience.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for n += w.answered; w.answered < n && !t.Failed() && !w.late; {
		w.moved.Wait()
	}
	if w.late {
		t.Errorf("only %d calls are answered, waiting for %d", w.answered, n)
	}
}

// note makes a call and keeps it.
func (w *witness) note(client int, q question, ask func() answer) answer {
	called := time.Since(w.start)
	a := ask()
	returned := time.Since(w.start)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, porcupine.Operation{ClientId: client, Input: q, Output: a, Call: int64(called), Return: int64(returned)})
	if !a.unknown {
		w.answered++
	}
	w.moved.Broadcast()
	return a
}

// unknown returns the calls that change something and of which nobody was told
// that they did, each once. An import stands there as an append of its shape,
// which is a repeat if that was stored.
func (w *witness) unknown() (lost []question) {
	known := map[daybook.ID]bool{}
	for _, o := range w.history {
		if a := o.Output.(answer); !a.unknown && a.err == nil {
			known[idOf(o.Input.(question))] = true
		}
	}
	for _, o := range w.history {
		q := o.Input.(question)
		id := idOf(q)
		if id == (daybook.ID{}) || known[id] || !o.Output.(answer).unknown {
			continue
		}
		known[id] = true
		if of, imports := q.(importCall); imports {
			q = appendCall{of.likeness()}
		}
		lost = append(lost, q)
	}
	return lost
}

// idOf returns the id by which a call is known again; zero for one that changes
// nothing.
func idOf(q question) daybook.ID {
	switch q := q.(type) {
	case appendCall:
		return q.ID
	case deletionCall:
		return q.ID
	case importCall:
		return q.id()
	}
	return daybook.ID{}
}

// settled returns a history without calls whose outcome is unknown. What changed
// nothing, as later calls with its id tell, is left out; several tries of one
// that did are one call, answered as repeats tell, some time before its server
// was gone.
func (w *witness) settled() (kept []porcupine.Operation) {
	first, repeats := map[daybook.ID]bool{}, map[daybook.ID]answer{}
	for _, o := range w.history {
		a := o.Output.(answer)
		switch id := idOf(o.Input.(question)); {
		case a.unknown || a.err != nil || id == daybook.ID{}:
		case a.receipt.Repeated || a.deletion.Repeated:
			a.receipt.Repeated, a.deletion.Repeated = false, false
			repeats[id] = a
		default:
			first[id] = true
		}
	}
	merged := map[daybook.ID]int{}
	for _, o := range w.history {
		if !o.Output.(answer).unknown {
			kept = append(kept, o)
			continue
		}
		id := idOf(o.Input.(question))
		a, stored := repeats[id]
		if !stored || first[id] {
			continue
		}
		o.Output, o.Return = a, w.death(o.Call)
		if at, there := merged[id]; there {
			kept[at].Call, kept[at].Return = min(kept[at].Call, o.Call), max(kept[at].Return, o.Return)
			continue
		}
		merged[id] = len(kept)
		kept = append(kept, o)
	}
	loosen(kept)
	return kept
}

// death returns when a server was gone that was called at a time.
func (w *witness) death(called int64) int64 {
	for _, death := range w.deaths {
		if death >= called {
			return death
		}
	}
	return 1 << 62
}

// loosen tells each read what was being deleted while it ran.
func loosen(history []porcupine.Operation) {
	var deletions []porcupine.Operation
	for _, o := range history {
		if a := o.Output.(answer); a.deletion.Records > 0 && !a.deletion.Repeated {
			deletions = append(deletions, o)
		}
	}
	for i := range history {
		o := &history[i]
		beside := loose{}
		for _, d := range deletions {
			r := d.Output.(answer).deletion
			s := beside[r.Stream]
			switch {
			case d.Return < o.Call:
				s.above = max(s.above, r.Through)
			case d.Call <= o.Return:
				s.through = max(s.through, r.Through)
			}
			beside[r.Stream] = s
		}
		switch q := o.Input.(type) {
		case streamCall:
			q.beside = beside
			o.Input = q
		case logCall:
			q.beside = beside
			o.Input = q
		}
	}
}

// explained looks for an order of the calls that explains every answer. Where
// there is none it says how far it came.
func explained(history []porcupine.Operation, patience time.Duration) (result porcupine.CheckResult, stuck string) {
	model := porcupine.Model{
		Init: func() any {
			return &book{heads: map[daybook.StreamID]daybook.Head{}, holders: map[held]daybook.StreamID{}}
		},
		Step: func(state, input, output any) (bool, any) {
			return input.(question).step(state.(*book), output.(answer))
		},
		Equal: func(a, b any) bool { return sameBook(a.(*book), b.(*book)) },
	}
	result, how := porcupine.CheckOperationsVerbose(model, history, patience)
	if result != porcupine.Illegal {
		return result, ""
	}
	var longest []int
	for _, order := range how.PartialLinearizations()[0] {
		if len(order) > len(longest) {
			longest = order
		}
	}
	return result, stuckAfter(history, longest)
}

// stuckAfter lists the last calls of an order that cannot go on, and those that
// could be next.
func stuckAfter(history []porcupine.Operation, order []int) string {
	const shown = 25
	text := fmt.Sprintf("the longest order has %d of %d calls, and ends with\n", len(order), len(history))
	for _, n := range order[max(0, len(order)-shown):] {
		text += line(history[n])
	}
	var left []porcupine.Operation
	next := int64(1<<62 + 1) // the first return of those that are left
	for n, o := range history {
		if !slices.Contains(order, n) {
			left, next = append(left, o), min(next, o.Return)
		}
	}
	text += "behind it comes one of\n"
	for _, o := range left {
		if o.Call <= next {
			text += line(o)
		}
	}
	return text
}

func line(o porcupine.Operation) string {
	return fmt.Sprintf("  client %d, %d to %d µs: %s\n    -> %s\n", o.ClientId, o.Call/1000, o.Return/1000, o.Input, o.Output)
}

func listed(history []porcupine.Operation) string {
	var text strings.Builder
	for _, o := range history {
		text.WriteString(line(o))
	}
	return text.String()
}
