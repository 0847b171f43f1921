package daytest

import (
	"errors"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// owning closes the storage too, which a program under Check must not.
type owning struct{ *faulty }

func (o owning) Close() error { return o.inner.Close() }

func TestWithoutFaultsTheDriverBetweenKeepsEveryPromise(t *testing.T) {
	storagetest.Run(t, func(*testing.T) daybook.Driver {
		inner := memory.New(nil)
		return owning{&faulty{scene: &scene{inner: inner, sound: daybook.New(inner, nil)}}}
	})
}

// bare offers nothing but what every driver must.
type bare struct{ daybook.Driver }

func TestWhatTheDriverDoesNotOfferIsUnsupportedThroughTheDriverBetween(t *testing.T) {
	inner := bare{memory.New(nil)}
	store := daybook.New(&faulty{scene: &scene{inner: inner, sound: daybook.New(inner, nil)}}, nil)
	defer store.Close()
	if _, err := store.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectNone(), daybook.Event{Type: "x"}); err != nil {
		t.Fatal(err)
	}
	if end, err := store.End(t.Context()); end != 1 || err != nil {
		t.Errorf("the end is %d, %v", end, err)
	}
	for _, err := range store.ListStreams(t.Context(), daybook.StreamList{}) {
		if !errors.Is(err, daybook.ErrUnsupported) {
			t.Errorf("listing: %v", err)
		}
	}
	if _, err := store.Stats(t.Context()); !errors.Is(err, daybook.ErrUnsupported) {
		t.Errorf("statistics: %v", err)
	}
}

func TestAProgramThatHasCrashedGetsNothingAnyMore(t *testing.T) {
	inner := memory.New(nil)
	f := &faulty{scene: &scene{inner: inner, sound: daybook.New(inner, nil), atAppend: func(int) Fault { return CrashAfter }, most: 1}}
	store := daybook.New(f, nil)
	defer inner.Close()
	stream, event := daybook.Stream("a-1"), daybook.Event{Type: "x"}
	if _, err := store.Append(t.Context(), stream, daybook.ExpectNone(), event); !errors.Is(err, ErrCrashed) || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("appending: %v", err)
	}
	if _, err := store.Head(t.Context(), stream); !errors.Is(err, ErrCrashed) {
		t.Errorf("head: %v", err)
	}
	for _, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if !errors.Is(err, ErrCrashed) {
			t.Errorf("reading: %v", err)
		}
	}
	again := daybook.New(&faulty{scene: f.scene}, nil)
	if head, err := again.Head(t.Context(), stream); head.Version != 1 || err != nil {
		t.Errorf("after the restart: %+v, %v", head, err)
	}
}
