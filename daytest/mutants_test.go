package daytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// A till pays out, as long as there is money. Each of its mutants does one thing
// wrong; the table says which faults bring that to light, and that no other
// does.

// payment is an input.
type payment struct {
	ID      string
	Account string
	Amount  int
}

// The fifth is more than is left; all else is not.
var payments = []payment{
	{"p1", "account-1", 5}, {"p2", "account-2", 40}, {"p3", "account-1", 60}, {"p4", "account-2", 50}, {"p5", "account-1", 40}, {"p6", "account-2", 10},
}

// till is one program that runs.
type till struct {
	*daybook.Store
	notes *notebook
	known map[string]int // what it keeps in memory
	start int            // how many have begun before
}

// notebook is a database that outlives the program.
type notebook struct {
	done  map[string]bool
	order string // in which accounts were served
	sum   int
	place daybook.Position
	start int
}

// line is what a record of a till says.
type line struct {
	Amount int
	ID     string
}

// read adds up an account.
func (t *till) read(ctx context.Context, account string) (balance int, last line, version daybook.Version, err error) {
	for r, err := range t.ReadStream(ctx, daybook.Stream(account), daybook.StreamRead{}) {
		if err != nil {
			return balance, last, version, err
		}
		if err := json.Unmarshal(r.Data, &last); err != nil {
			return 0, last, 0, err
		}
		balance, version = balance+last.Amount, r.Version
	}
	return balance, last, version, nil
}

// note returns what adds a line to a stream.
func note(stream string, expect daybook.Expect, l line) daybook.Changeset {
	data, _ := json.Marshal(l)
	return daybook.Changeset{Stream: daybook.Stream(stream), Expect: expect, Events: []daybook.Event{{Type: "noted", Data: data}}}
}

// pay is what a sound till does, with an expectation and an id of the caller's.
func (t *till) pay(ctx context.Context, p payment, id daybook.ID, expect func(daybook.Version) daybook.Expect) (daybook.Receipt, error) {
	balance, _, version, err := t.read(ctx, p.Account)
	if err != nil || balance < p.Amount {
		return daybook.Receipt{}, err // nil is: refused
	}
	return t.AppendAll(ctx, daybook.Append{ID: id, Changesets: []daybook.Changeset{note(p.Account, expect(version), line{-p.Amount, p.ID})}})
}

func anything(daybook.Version) daybook.Expect { return daybook.ExpectAny() }

// soundly pays as it should be done.
func (t *till) soundly(ctx context.Context, p payment) error {
	_, err := t.pay(ctx, p, daybook.IDOf(p.ID), daybook.ExpectVersion)
	return err
}

// lost reports whether nobody can tell what became of an append.
func lost(err error) bool {
	return err != nil && !errors.Is(err, daybook.ErrRefused) && !errors.Is(err, daytest.ErrCrashed)
}

// tillSubject is a till with its notebook, as Check runs it.
func tillSubject(handle func(t *till, ctx context.Context, p payment) error) func() daytest.Subject[payment] {
	return func() daytest.Subject[payment] {
		notes := &notebook{done: map[string]bool{}}
		return daytest.Subject[payment]{
			Driver: func() daybook.Driver { return memory.New(nil) },
			Given: func(ctx context.Context, store *daybook.Store) error {
				for _, account := range []string{"account-1", "account-2"} {
					coins := note(account, daybook.ExpectNone(), line{Amount: 10})
					coins.Events = slices.Repeat(coins.Events, 10)
					if _, err := store.AppendAll(ctx, daybook.Append{Changesets: []daybook.Changeset{coins}}); err != nil {
						return err
					}
				}
				return nil
			},
			Lane: func(p payment) string { return p.Account },
			Start: func(_ context.Context, store *daybook.Store) (func(context.Context, payment) error, error) {
				t := &till{Store: store, notes: notes, known: map[string]int{}, start: notes.start}
				notes.start++
				return func(ctx context.Context, p payment) error { return handle(t, ctx, p) }, nil
			},
			Outcome: func(ctx context.Context, store *daybook.Store) (any, error) {
				contents, err := daytest.Contents(ctx, store)
				if totals := contents["totals"]; len(totals) > 0 {
					contents["totals"] = totals[len(totals)-1:] // the ones before differ by the order
				}
				return fmt.Sprint(contents, notes.order, notes.sum), err
			},
		}
	}
}

// mutants are tills that do one thing wrong.
var mutants = []struct {
	wrong  string
	found  []daytest.Fault
	handle func(t *till, ctx context.Context, p payment) error
}{
	{"nothing", nil, (*till).soundly},
	{"writes down that it is done before it is", []daytest.Fault{daytest.CrashBefore, daytest.CrashReading}, func(t *till, ctx context.Context, p payment) error {
		if t.notes.done[p.ID] {
			return nil
		}
		t.notes.done[p.ID] = true
		err := t.soundly(ctx, p)
		if err != nil && !errors.Is(err, daytest.ErrCrashed) { // who has crashed corrects nothing
			delete(t.notes.done, p.ID)
		}
		return err
	}},
	{"gives other ids after each start", []daytest.Fault{daytest.CrashAfter, daytest.AtOnce}, func(t *till, ctx context.Context, p payment) error {
		_, err := t.pay(ctx, p, daybook.IDOf(fmt.Sprint(p.ID, t.start)), daybook.ExpectVersion)
		return err
	}},
	{"takes what is lost for stored", []daytest.Fault{daytest.LostRequest}, func(t *till, ctx context.Context, p payment) error {
		receipt, err := t.pay(ctx, p, daybook.IDOf(p.ID), daybook.ExpectVersion)
		if lost(err) && !errors.Is(err, daytest.ErrLostRead) && receipt.Changesets == nil {
			return nil
		}
		return err
	}},
	{"sends what is lost again, without its id", []daytest.Fault{daytest.LostAnswer, daytest.LateCommit}, func(t *till, ctx context.Context, p payment) error {
		_, err := t.pay(ctx, p, daybook.IDOf(p.ID), daybook.ExpectVersion)
		if lost(err) {
			_, err = t.pay(ctx, p, daybook.ID{}, anything)
		}
		return err
	}},
	{"looks whether what is lost is stored, and else sends it again", []daytest.Fault{daytest.LateCommit}, func(t *till, ctx context.Context, p payment) error {
		_, err := t.pay(ctx, p, daybook.IDOf(p.ID), daybook.ExpectVersion)
		if lost(err) && !errors.Is(err, daytest.ErrLostRead) {
			if _, last, _, failed := t.read(ctx, p.Account); failed != nil || last.ID == p.ID {
				return failed
			}
			_, err = t.pay(ctx, p, daybook.ID{}, anything)
		}
		return err
	}},
	{"takes a conflict for a refusal", []daytest.Fault{daytest.Conflict}, func(t *till, ctx context.Context, p payment) error {
		err := t.soundly(ctx, p)
		if errors.Is(err, daybook.ErrConflict) {
			return nil
		}
		return err
	}},
	{"gives no ids", []daytest.Fault{daytest.CrashAfter, daytest.LostAnswer, daytest.LateCommit, daytest.Duplicate, daytest.DuplicateLate, daytest.AtOnce},
		func(t *till, ctx context.Context, p payment) error {
			_, err := t.pay(ctx, p, daybook.ID{}, daybook.ExpectVersion)
			return err
		}},
	{"looks at the last record only, for what it has done", []daytest.Fault{daytest.DuplicateLate}, func(t *till, ctx context.Context, p payment) error {
		if _, last, _, err := t.read(ctx, p.Account); err != nil || last.ID == p.ID {
			return err
		}
		_, err := t.pay(ctx, p, daybook.ID{}, daybook.ExpectVersion)
		return err
	}},
	{"minds the order of all accounts", []daytest.Fault{daytest.Reorder, daytest.Abreast}, func(t *till, ctx context.Context, p payment) error {
		err := t.soundly(ctx, p)
		if err == nil && !t.notes.done[p.ID] {
			t.notes.done[p.ID], t.notes.order = true, t.notes.order+" "+p.Account
		}
		return err
	}},
	{"takes a failed read for an empty account", []daytest.Fault{daytest.LostRead, daytest.BrokenReads}, func(t *till, ctx context.Context, p payment) error {
		_, _, version, err := t.read(ctx, p.Account)
		if lost(err) && version == 0 {
			return nil
		}
		return then(err, func() error { return t.soundly(ctx, p) })
	}},
	{"takes half of a read for all", []daytest.Fault{daytest.CutRead, daytest.BrokenReads}, func(t *till, ctx context.Context, p payment) error {
		balance, _, version, err := t.read(ctx, p.Account)
		if lost(err) && version > 0 && balance < p.Amount {
			return nil
		}
		return then(err, func() error { return t.soundly(ctx, p) })
	}},
	{"asks three times, and refuses", []daytest.Fault{daytest.BrokenReads}, func(t *till, ctx context.Context, p payment) error {
		var err error
		for range 3 {
			if _, _, _, err = t.read(ctx, p.Account); !lost(err) {
				return then(err, func() error { return t.soundly(ctx, p) })
			}
		}
		return nil
	}},
	{"keeps its place when it has read all", []daytest.Fault{daytest.CrashReading}, func(t *till, ctx context.Context, p payment) error {
		if err := t.soundly(ctx, p); err != nil {
			return err
		}
		place := t.notes.place
		for r, err := range t.ReadLog(ctx, daybook.LogRead{After: t.notes.place}) {
			if errors.Is(err, daytest.ErrCrashed) {
				return err
			}
			if err != nil {
				t.notes.place = place
				return err
			}
			t.notes.sum, place = t.notes.sum+len(r.Data), r.Position
		}
		t.notes.place = place
		return nil
	}},
	{"believes its memory", []daytest.Fault{daytest.TurnAbout, daytest.Abreast}, func(t *till, ctx context.Context, p payment) error {
		balance, found := t.known[p.Account]
		if !found {
			var err error
			if balance, _, _, err = t.read(ctx, p.Account); err != nil {
				return err
			}
		}
		if balance < p.Amount {
			return nil
		}
		receipt, err := t.AppendAll(ctx, daybook.Append{ID: daybook.IDOf(p.ID), Changesets: []daybook.Changeset{note(p.Account, daybook.ExpectAny(), line{-p.Amount, p.ID})}})
		if t.known[p.Account] = balance - p.Amount; err != nil || receipt.Repeated {
			delete(t.known, p.Account)
		}
		return err
	}},
	{"looks for its id, and then appends whatever comes", []daytest.Fault{daytest.LateCommit, daytest.AtOnce}, func(t *till, ctx context.Context, p payment) error {
		for r, err := range t.ReadStream(ctx, daybook.Stream(p.Account), daybook.StreamRead{}) {
			var l line
			if err = then(err, func() error { return json.Unmarshal(r.Data, &l) }); err != nil || l.ID == p.ID {
				return err
			}
		}
		_, err := t.pay(ctx, p, daybook.ID{}, anything)
		return err
	}},
	{"adds up all accounts without an expectation", []daytest.Fault{daytest.Abreast}, func(t *till, ctx context.Context, p payment) error {
		_, last, _, err := t.read(ctx, "totals")
		balance, _, version, failed := t.read(ctx, p.Account)
		if err = errors.Join(err, failed); err != nil || balance < p.Amount {
			return err
		}
		_, err = t.AppendAll(ctx, daybook.Append{ID: daybook.IDOf(p.ID), Changesets: []daybook.Changeset{
			note(p.Account, daybook.ExpectVersion(version), line{-p.Amount, p.ID}), note("totals", daybook.ExpectAny(), line{Amount: last.Amount + p.Amount}),
		}})
		return err
	}},
}

// then returns err, or what comes next if there is none.
func then(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

func TestEachFaultBringsAMistakeToLight(t *testing.T) {
	finds := map[daytest.Fault]int{}
	for _, mutant := range mutants {
		for _, fault := range mutant.found {
			finds[fault]++
		}
		t.Run(mutant.wrong, func(t *testing.T) {
			for _, fault := range daytest.Faults() {
				r := watch(t, func(r *recorder) {
					daytest.Check(r, tillSubject(mutant.handle), payments, &daytest.CheckOptions{Faults: []daytest.Fault{fault}, Runs: -1})
				})
				switch {
				case slices.Contains(mutant.found, fault):
					r.says(t, string(fault))
				case len(r.failed) > 0:
					t.Errorf("%s finds it as well: %s", fault, r.failed[0])
				}
			}
		})
	}
	for _, fault := range daytest.Faults() {
		if finds[fault] == 0 {
			t.Errorf("no mistake is found by %s", fault)
		}
	}
}
