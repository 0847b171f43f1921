package livestate_test

import (
	"cmp"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/livestate"
)

// TestManyDecodersComeToWhatOneComesTo catches up with a log in which some
// records do not decode, and some break a fold.
func TestManyDecodersComeToWhatOneComesTo(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	store := newStore(t)
	var list []daybook.Event
	for range 1000 {
		event := daybook.Event{Type: "added", Data: []byte(`{"Word":"` + string(rune('a'+random.IntN(26))) + `"}`)}
		switch random.IntN(40) {
		case 0:
			event.Type = "unknown"
		case 1:
			event.Data = []byte(`{"Word":7}`)
		case 2:
			event.Data = []byte(`{"Word":"half"}`)
		case 3:
			event = daybook.Event{Type: "removed", Data: []byte(`{"Word":"e"}`)}
		}
		list = append(list, event)
	}
	for len(list) > 0 {
		n := min(len(list), 1+random.IntN(100))
		if _, err := store.Append(t.Context(), text, daybook.ExpectAny(), list[:n]...); err != nil {
			t.Fatal(err)
		}
		list = list[n:]
	}
	type outcome struct {
		counts  map[string]int
		length  int
		version daybook.Version
		aside   []livestate.Quarantined
		count   int64
	}
	come := func(o options) outcome {
		f := newFolds()
		s := start(t, store, livestate.OfStream(text), f, &o)
		state := current(t, s)
		list, count := s.Quarantine()
		for i := range list {
			list[i].Err = nil // which holds stacks
		}
		// What does not decode is put aside before a group is folded.
		slices.SortFunc(list, func(a, b livestate.Quarantined) int {
			return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Fold, b.Fold))
		})
		return outcome{f.counts.Of(state), f.length.Of(state), state.Version(), list, count}
	}
	want := come(options{})
	if want.count == 0 || want.version != 1000 {
		t.Fatalf("one decoder comes to %+v", want)
	}
	for _, o := range []options{{Decoders: 2}, {Decoders: 4, Group: 7}, {Decoders: 3, Group: 64}, {Decoders: 100}} {
		if got := come(o); !reflect.DeepEqual(got, want) {
			t.Errorf("%d decoders, groups of %d: version %d, length %d, %d aside; want version %d, length %d, %d aside; counts %v, want %v",
				o.Decoders, o.Group, got.version, got.length, got.count, want.version, want.length, want.count, got.counts, want.counts)
		}
	}
}

func TestManyDecodersGoOnWhereTheyWere(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, &options{Decoders: 4, Group: 2})
	for i := range 5 {
		say(t, store, "a", "b", "c")
		if state := current(t, s); f.counts.Of(state)["b"] != i+1 || state.Version() != daybook.Version(3*(i+1)) {
			t.Errorf("after %d rounds it is %v", i+1, f.counts.Of(state))
		}
	}
}
