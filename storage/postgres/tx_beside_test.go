package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
)

func TestASlowTransactionHoldsUpNobodyElse(t *testing.T) {
	tm := newTeam(t)
	tm.append(one("slow", daybook.ExpectAny(), "begun"))
	tx := tm.begin(tm.own)
	tm.promise(tx, one("slow", daybook.ExpectVersion(1), "promised"))
	other := daybook.New(open(t, tm.address, nil), nil)
	for n := range 20 {
		stream := fmt.Sprintf("fast-%d", n%3)
		tm.append(one(stream, daybook.ExpectAny(), "fast"))
		if _, err := other.Append(t.Context(), daybook.Stream(stream), daybook.ExpectExists(), daybook.Event{Type: "fast"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tm.store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("fast-2")}); err != nil {
		t.Errorf("deleting another stream: %v", err)
	}
	quick := connect(t, os.Getenv(urlVariable))
	next := tm.begin(quick)
	tm.promise(next, one("fast-0", daybook.ExpectExists(), "quick"))
	tm.commit(next)
	end, err := tm.store.End(t.Context())
	if err != nil || end != 42 {
		t.Errorf("the log ends at %d %v, want 42: 1 before, 40 beside, 1 of another transaction", end, err)
	}

	// On the same stream an append waits, and stores nothing when its time is up.
	waited, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tm.store.AppendAll(waited, one("slow", daybook.ExpectAny(), "late")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an append that waits in vain: %v", err)
	}
	waited, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tm.store.DeleteStream(waited, daybook.Deletion{Stream: daybook.Stream("slow")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deletion that waits in vain: %v", err)
	}
	results := make(chan error, 2)
	for _, expect := range []daybook.Expect{daybook.ExpectVersion(1), daybook.ExpectAny()} {
		go func() {
			_, err := tm.store.AppendAll(t.Context(), one("slow", expect, "behind"))
			results <- err
		}()
	}
	tm.commit(tx)
	conflicts := 0
	for range 2 {
		if err := <-results; errors.Is(err, daybook.ErrConflict) {
			conflicts++
		} else if err != nil {
			t.Error(err)
		}
	}
	if head, err := tm.store.Head(t.Context(), daybook.Stream("slow")); err != nil || head.Version != 3 || conflicts != 1 {
		t.Errorf("the stream ends at version %d %v with %d conflicts, want 3 and 1: begun, promised, behind", head.Version, err, conflicts)
	}
}

func TestAKilledBackendPromisesNothing(t *testing.T) {
	tm := newTeam(t)
	tx := tm.begin(tm.own)
	tm.promise(tx, one("order-7", daybook.ExpectNone(), "lost"))
	if _, err := connect(t, os.Getenv(urlVariable)).Exec(t.Context(), "SELECT pg_terminate_backend($1)", tm.own.PgConn().PID()); err != nil {
		t.Fatal(err)
	}
	tm.append(one("order-7", daybook.ExpectNone(), "placed"))
	tm.wantTypes("placed")
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("the transaction of the killed backend has committed")
	}
}

func TestTwoTransactionsOnOneStreamTakeTurns(t *testing.T) {
	tm := newTeam(t)
	first, second := tm.begin(tm.own), tm.begin(connect(t, os.Getenv(urlVariable)))
	tm.promise(first, one("order-7", daybook.ExpectNone(), "first"))
	answer := make(chan error, 1)
	go func() {
		_, err := tm.driver.AppendTx(t.Context(), second, one("order-7", daybook.ExpectNone(), "second"))
		answer <- err
	}()
	waits := func() bool {
		var n int
		err := tm.own.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = $1", second.Conn().PgConn().PID()).Scan(&n)
		return err == nil && n == 1
	}
	for !waits() {
		select {
		case err := <-answer:
			t.Fatalf("the second transaction did not wait for the first: %v", err)
		case <-t.Context().Done():
			t.Fatal("the second transaction does not wait")
		default:
		}
	}
	tm.commit(first)
	if err := <-answer; !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("the second transaction was decided on what was before the first: %v", err)
	}
	p := tm.promise(second, one("order-7", daybook.ExpectVersion(1), "third"))
	if p.Changesets[0].First != 2 || p.Changesets[0].Number != 2 {
		t.Errorf("promised %+v, want version 2", p)
	}
	tm.commit(second)
	tm.wantTypes("first", "third")
}

func TestAReferenceOfATransactionKeepsItsStream(t *testing.T) {
	tm := newTeam(t)
	tm.append(one("customer-1", daybook.ExpectAny(), "opened"))
	tx := tm.begin(tm.own)
	a := one("order-7", daybook.ExpectNone(), "placed")
	a.Changesets[0].References = []daybook.StreamID{daybook.Stream("customer-1")}
	tm.promise(tx, a)
	tm.append(one("customer-1", daybook.ExpectVersion(1), "renamed")) // that is free
	waited, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tm.store.DeleteStream(waited, daybook.Deletion{Stream: daybook.Stream("customer-1")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stream that an open transaction refers to was deleted: %v", err)
	}
	tm.commit(tx)
	if _, err := tm.store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("customer-1")}); err != nil {
		t.Error(err)
	}
}

func TestAFollowerSeesWhatATransactionCommits(t *testing.T) {
	tm := newTeam(t)
	follower := daybook.New(open(t, tm.address, nil), nil)
	seen := make(chan daybook.Record)
	go func() {
		defer close(seen)
		for record, err := range follower.Follow(t.Context(), daybook.LogRead{}) {
			if err != nil {
				return
			}
			select {
			case seen <- record:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for n := range 3 {
		tx := tm.begin(tm.own)
		tm.promise(tx, one("order-7", daybook.ExpectVersion(daybook.Version(n)), fmt.Sprint(n)))
		tm.commit(tx)
		if record := <-seen; record.Type != fmt.Sprint(n) || record.Position != daybook.Position(n+1) {
			t.Errorf("the follower sees %s at %d, want %d", record.Type, record.Position, n)
		}
	}
}

func TestAppendsAndTransactionsAtOnceKeepEveryOrder(t *testing.T) {
	tm := newTeam(t)
	const writers, each, streams = 6, 15, 3
	done := make(chan error, writers)
	for w := range writers {
		connection := connect(t, os.Getenv(urlVariable))
		store := daybook.New(open(t, tm.address, nil), nil)
		go func() {
			for n := range each {
				stream := fmt.Sprintf("s-%d", (w+n)%streams)
				if w%2 == 0 {
					if _, err := store.AppendAll(t.Context(), one(stream, daybook.ExpectAny(), "plain")); err != nil {
						done <- err
						return
					}
					continue
				}
				err := pgx.BeginFunc(t.Context(), connection, func(tx pgx.Tx) error {
					if _, err := tm.driver.AppendTx(t.Context(), tx, one(stream, daybook.ExpectAny(), "promised")); err != nil {
						return err
					}
					if n%5 == 4 {
						return errors.New("the team changes its mind")
					}
					return nil
				})
				if _, fromServer := errors.AsType[*pgconn.PgError](err); fromServer {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got, want := len(tm.types()), writers/2*each+writers/2*(each-each/5); got != want {
		t.Errorf("the log holds %d records, want %d", got, want)
	}
	for s := range streams {
		version := daybook.Version(0)
		position := daybook.Position(0)
		for record, err := range tm.store.ReadStream(t.Context(), daybook.Stream(fmt.Sprintf("s-%d", s)), daybook.StreamRead{}) {
			if version++; err != nil || record.Version != version || record.Position <= position {
				t.Errorf("stream %d: behind version %d stands %d, at position %d: %v", s, version-1, record.Version, record.Position, err)
			}
			position = record.Position
		}
	}
}
