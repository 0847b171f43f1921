package httpapi

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// filled returns a store with events of so many bytes each.
func filled(t *testing.T, events, size int) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { store.Close() })
	list := make([]daybook.Event, events)
	for i := range list {
		list[i] = daybook.Event{Type: "e", Data: []byte(`"` + strings.Repeat("x", size) + `"`)}
	}
	if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), list...); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestAWindowForgetsItsBeginningAndCountsWhatItKeeps(t *testing.T) {
	const events, size = 150, 64 << 10
	store := filled(t, events, size)
	s := newShelf()
	from := source{store: store}
	s.join(from)
	s.join(from)
	w := s.move(from, nil, 0, true)
	slow := s.move(from, nil, 0, true)
	if w == nil || w != slow {
		t.Fatal("two readers at one place do not share")
	}
	want, seen := 1, []byte(nil)
	for place := int64(0); ; {
		p, more, err := w.next(t.Context(), place, events)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		if want == 1 {
			seen = p.frames[p.from:]
		}
		for _, m := range p.marks {
			if m.place != int64(want) {
				t.Fatalf("%d came, want %d", m.place, want)
			}
			want++
		}
		place = p.place
		if kept := s.bytes.Load(); kept != w.bytes || kept > windowBytes+fillBytes {
			t.Fatalf("%d bytes are kept, %d by the window", kept, w.bytes)
		}
	}
	if want != events+1 {
		t.Errorf("%d events came", want-1)
	}
	if !bytes.HasPrefix(seen, []byte("id: 1\n")) || bytes.Count(seen, []byte("event: record")) != 1 {
		t.Errorf("what a reader held has changed: %.80q", seen)
	}
	if _, _, err := w.next(t.Context(), 0, events); !errors.Is(err, errForgotten) {
		t.Errorf("the beginning is still there: %v", err)
	}
	if again := s.move(from, slow, 0, true); again == w || again == nil {
		t.Error("who was forgotten got no window of its own")
	} else {
		s.leave(from, again)
	}
	s.leave(from, w)
	if s.bytes.Load() != 0 || len(s.sources) != 0 {
		t.Errorf("%d bytes and %d sources are left without readers", s.bytes.Load(), len(s.sources))
	}
}

func TestWindowsThatMeetBecomeOne(t *testing.T) {
	const events = 3000
	store := filled(t, events, 500)
	s := newShelf()
	from := source{store: store}
	s.join(from)
	s.join(from)
	ahead, behind := s.move(from, nil, 2000, true), s.move(from, nil, 0, true)
	if ahead == behind {
		t.Fatal("two places share a window")
	}
	if _, more, err := ahead.next(t.Context(), 2000, events); err != nil || !more {
		t.Fatal(more, err)
	}
	place := int64(0)
	for behind != ahead {
		p, more, err := behind.next(t.Context(), place, events)
		if err != nil || !more {
			t.Fatalf("at %d: %v, %v", place, more, err)
		}
		place = p.place
		behind = s.move(from, behind, place, true)
	}
	if place < 2000 || place > 2000+fillBytes/500 {
		t.Errorf("they met at %d", place)
	}
	if n := len(s.sources[from.stream].windows); n != 1 {
		t.Errorf("%d windows are left", n)
	}
}

func TestALoneReaderHasNoWindow(t *testing.T) {
	s := newShelf()
	from := source{store: filled(t, 1, 1)}
	s.join(from)
	if s.move(from, nil, 0, true) != nil {
		t.Error("it has one")
	}
}

func TestOnlySoManyPlacesAreShared(t *testing.T) {
	s := newShelf()
	from := source{store: filled(t, 1, 1)}
	for place := range windowsPerSource + 1 {
		s.join(from)
		s.join(from)
		w := s.move(from, nil, int64(place), true)
		if (w == nil) != (place == windowsPerSource) {
			t.Errorf("place %s: %v", strconv.Itoa(place), w)
		}
	}
	if s.move(from, nil, 99, false) != nil {
		t.Error("a window was opened for who may not")
	}
}
