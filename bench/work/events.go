package work

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/daybook-go/daybook/bench/peer"
)

// deposited is what the events of all work hold: a few fields of the kinds that
// events have, and a note that fills them up.
type deposited struct {
	Account string `json:"account"`
	Owner   string `json:"owner"`
	Amount  int64  `json:"amount"`
	At      string `json:"at"`
	Valid   bool   `json:"valid"`
	Note    string `json:"note"`
}

// bodies returns JSON events of exactly the size, all different. The same
// size always gives the same events.
func bodies(count, size int) ([][]byte, error) {
	const letters = "abcdefghijklmnopqrstuvwxyz     "
	random := rand.New(rand.NewPCG(uint64(size), 1))
	list := make([][]byte, count)
	for i := range list {
		event := deposited{
			Account: fmt.Sprintf("account-%06d", random.IntN(1_000_000)),
			Owner:   fmt.Sprintf("owner-%04d", random.IntN(10_000)),
			Amount:  100_000 + random.Int64N(900_000),
			At:      fmt.Sprintf("2026-%02d-%02dT%02d:30:00Z", 1+random.IntN(12), 1+random.IntN(28), random.IntN(24)),
			Valid:   true,
		}
		empty, err := json.Marshal(event)
		if err != nil {
			return nil, err
		}
		if size < len(empty) {
			return nil, fmt.Errorf("an event has at least %d bytes, not %d", len(empty), size)
		}
		note := make([]byte, size-len(empty))
		for j := range note {
			note[j] = letters[random.IntN(len(letters))]
		}
		event.Note = string(note)
		if list[i], err = json.Marshal(event); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// eventSource gives a writer its events, one append after the other, from
// bodies that all writers share.
type eventSource struct {
	bodies [][]byte
	next   int
	events []peer.Event
	stream string
	first  int64
	tag    string
}

// newEventSource returns the source of the nth writer, for appends of count
// events to its stream.
func newEventSource(bodies [][]byte, n, count int, stream, tag string) *eventSource {
	return &eventSource{bodies: bodies, next: n * 37, events: make([]peer.Event, count), stream: stream, first: 1, tag: tag}
}

// append returns the next append. Its events are good until the next call.
func (s *eventSource) append() peer.Append {
	for i := range s.events {
		s.next++
		s.events[i] = peer.Event{Data: s.bodies[s.next%len(s.bodies)], Tag: s.tag}
	}
	return peer.Append{Stream: s.stream, First: s.first, Events: s.events}
}

// stored tells the source that its last append is stored.
func (s *eventSource) stored() { s.first += int64(len(s.events)) }

// storedAt tells the source where its stream ends.
func (s *eventSource) storedAt(head int64) { s.first = head + 1 }
