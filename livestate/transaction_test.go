package livestate_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/daybook-go/daybook/livestate"
)

func TestATransactionFollowsItsOwnEvents(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, nil)
	var log []string
	say(t, store, "first")
	current(t, s)
	runs := 0
	done, err := s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error {
		runs++
		run := runs
		tx.OnCommit(func(list []event) { log = append(log, fmt.Sprint("commit ", run, " ", len(list))) })
		tx.OnAbort(func() { log = append(log, "abort") })
		if err := tx.Add(added{Word: "a"}, added{Word: "b"}); err != nil {
			return err
		}
		if err := tx.Add(added{Word: "a"}, added{Word: "long"}); err == nil {
			t.Error("an event that a fold cannot take is added")
		}
		if got := f.counts.Of(tx.State()); got["a"] != 1 || got["b"] != 1 {
			t.Errorf("the transaction sees %v", got)
		}
		if run == 1 {
			say(t, store, "quick")
		}
		return nil
	}, nil)
	if err != nil || done.Tries != 2 || f.counts.Of(done.State)["a"] != 1 || f.counts.Of(done.State)["quick"] != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	_, err = s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error {
		tx.OnCommit(func(list []event) { log = append(log, fmt.Sprint("empty ", len(list))) })
		return nil
	}, nil)
	if err != nil {
		t.Error(err)
	}
	_, err = s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error {
		tx.OnAbort(func() { log = append(log, "aborted") })
		_ = tx.Add(added{Word: "never"})
		tx.Abort()
		if err := tx.Add(added{Word: "never"}); !errors.Is(err, livestate.ErrAborted) {
			t.Errorf("adding after Abort answers %v", err)
		}
		return nil
	}, nil)
	if err != nil {
		t.Errorf("an abort answers %v", err)
	}
	failed := errors.New("failed")
	if _, err := s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error {
		tx.OnAbort(func() { log = append(log, "failed") })
		return failed
	}, nil); !errors.Is(err, failed) {
		t.Errorf("an error answers %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error {
			tx.OnAbort(func() { log = append(log, "panicked") })
			panic("mine")
		}, nil)
	}()
	if _, err := s.Add(t.Context(), nil, added{Word: "still works"}); err != nil {
		t.Error(err)
	}
	if want := []string{"commit 2 2", "empty 0", "aborted", "failed", "panicked"}; !slices.Equal(log, want) {
		t.Errorf("the hooks were %q, want %q", log, want)
	}
}
