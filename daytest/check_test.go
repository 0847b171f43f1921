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

// transfer is a command of the checked programs, with an id of its own.
type transfer struct {
	ID      string
	Account string
	Amount  int
}

var transfers = []transfer{{"t1", "account-1", 30}, {"t2", "account-2", 5}, {"t3", "account-1", 50}, {"t4", "account-1", 40}}

// program withdraws; its fields are what may be wrong with it.
type program struct {
	blind    bool // does not expect what it has read
	nameless bool // gives its appends no id
	resigns  bool // takes a conflict for a refusal
}

func (p program) start(_ context.Context, store *daybook.Store) (func(context.Context, transfer) error, error) {
	return func(ctx context.Context, c transfer) error {
		stream := daybook.Stream(c.Account)
		balance, version := 0, daybook.Version(0)
		for r, err := range store.ReadStream(ctx, stream, daybook.StreamRead{}) {
			if err != nil {
				return err
			}
			var moved struct{ Amount int }
			if err := json.Unmarshal(r.Data, &moved); err != nil {
				return err
			}
			if balance += moved.Amount; r.Type == "withdrawn" {
				balance -= 2 * moved.Amount
			}
			version = r.Version
		}
		if balance < c.Amount {
			return nil // refused
		}
		expect := daybook.ExpectVersion(version)
		if p.blind {
			expect = daybook.ExpectAny()
		}
		a := daybook.Append{Changesets: []daybook.Changeset{{
			Stream: stream, Expect: expect,
			Events: []daybook.Event{{Type: "withdrawn", Data: fmt.Appendf(nil, `{"Amount":%d}`, c.Amount)}},
		}}}
		if !p.nameless {
			a.ID = daybook.IDOf(c.ID)
		}
		_, err := store.AppendAll(ctx, a)
		if p.resigns && errors.Is(err, daybook.ErrConflict) {
			return nil
		}
		return err
	}, nil
}

func (p program) subject() daytest.Subject[transfer] {
	return daytest.Subject[transfer]{
		Driver: func() daybook.Driver { return memory.New(nil) },
		Given: func(ctx context.Context, store *daybook.Store) error {
			for _, name := range []string{"account-1", "account-2"} {
				event := daybook.Event{Type: "deposited", Data: []byte(`{"Amount":100}`)}
				if _, err := store.Append(ctx, daybook.Stream(name), daybook.ExpectNone(), event); err != nil {
					return err
				}
			}
			return nil
		},
		Start: p.start,
	}
}

func TestASoundProgramPassesUnderAllFaults(t *testing.T) {
	daytest.Check(t, program{}.subject, transfers, nil)
}

func TestARivalMakesARealConflict(t *testing.T) {
	rivals := 0
	subject := func() daytest.Subject[transfer] {
		s := program{}.subject()
		s.Rival = func(ctx context.Context, store *daybook.Store, stream daybook.StreamID) error {
			rivals++
			_, err := store.Append(ctx, stream, daybook.ExpectAny(), daybook.Event{Type: "looked", Data: []byte(`{}`)})
			return err
		}
		s.Outcome = func(ctx context.Context, store *daybook.Store) (any, error) {
			contents, err := daytest.Contents(ctx, store)
			for name := range contents {
				contents[name] = slices.DeleteFunc(contents[name], func(line string) bool { return line == "looked {}" })
			}
			return contents, err
		}
		return s
	}
	daytest.Check(t, subject, transfers, &daytest.CheckOptions{Faults: []daytest.Fault{daytest.Conflict}})
	if rivals == 0 {
		t.Error("no rival came")
	}
}

func TestCheckSaysWhichFaultBreaksAProgram(t *testing.T) {
	for name, test := range map[string]struct {
		program program
		faults  []daytest.Fault
	}{
		"nameless":           {program{nameless: true}, []daytest.Fault{daytest.CrashAfter, daytest.LostAnswer, daytest.Duplicate, daytest.DuplicateLate}},
		"blind and nameless": {program{blind: true, nameless: true}, []daytest.Fault{daytest.CrashAfter, daytest.LostAnswer, daytest.LateCommit, daytest.Duplicate}},
		"resigning":          {program{resigns: true}, []daytest.Fault{daytest.Conflict}},
	} {
		for _, fault := range test.faults {
			t.Run(name+"/"+string(fault), func(t *testing.T) {
				r := watch(t, func(r *recorder) {
					daytest.Check(r, test.program.subject, transfers, &daytest.CheckOptions{Faults: []daytest.Fault{fault}, Runs: 1})
				})
				r.says(t, string(fault)+" changes the outcome", "got:", "want:", "input ")
			})
		}
		t.Run(name+"/the rest holds", func(t *testing.T) {
			daytest.Check(t, test.program.subject, transfers, &daytest.CheckOptions{Faults: []daytest.Fault{daytest.CrashBefore, daytest.LostRequest}})
		})
	}
}

// view counts, in a database that outlives the program, how much came in.
func view(idempotent, crossing bool) func() daytest.Subject[daybook.Record] {
	return func() daytest.Subject[daybook.Record] {
		sum, last, checkpoints := map[string]int{}, "", map[string]daybook.Version{}
		return daytest.Subject[daybook.Record]{
			Driver: func() daybook.Driver { return memory.New(nil) },
			Lane:   daytest.StreamLane,
			Start: func(context.Context, *daybook.Store) (func(context.Context, daybook.Record) error, error) {
				return func(_ context.Context, r daybook.Record) error {
					if idempotent && checkpoints[r.Stream.Name] >= r.Version {
						return nil
					}
					checkpoints[r.Stream.Name] = r.Version
					sum[r.Stream.Name] += len(r.Data)
					if crossing {
						last = r.Stream.Name
					}
					return nil
				}, nil
			},
			Outcome: func(context.Context, *daybook.Store) (any, error) { return fmt.Sprint(sum, last), nil },
		}
	}
}

func TestCheckDeliversRecordsTwiceAndInAnotherOrder(t *testing.T) {
	var happened []daytest.Happened[event]
	for i := range 6 {
		stream := daybook.Stream(fmt.Sprintf("account-%d", i%2))
		happened = append(happened, daytest.Happened[event]{Stream: stream, Values: []event{deposited{i}}})
	}
	records := daytest.Records(t, accountCodec, happened...)
	daytest.Check(t, view(true, false), records, nil)
	for name, test := range map[string]struct {
		subject func() daytest.Subject[daybook.Record]
		fault   daytest.Fault
	}{
		"counts twice":           {view(false, false), daytest.Duplicate},
		"counts late ones twice": {view(false, false), daytest.DuplicateLate},
		"looks across streams":   {view(true, true), daytest.Reorder},
	} {
		r := watch(t, func(r *recorder) { daytest.Check(r, test.subject, records, &daytest.CheckOptions{Seed: 1}) })
		r.says(t, string(test.fault)+" changes the outcome")
		if len(r.logged) != 1 || r.logged[0] != "daytest: DAYBOOK_SEED=1 replays this" {
			t.Errorf("%s: logged %q", name, r.logged)
		}
	}
}

// remembering keeps a count in memory, and tells it when it has handled all.
func remembering(replay bool) func() daytest.Subject[int] {
	return func() daytest.Subject[int] {
		told := 0
		return daytest.Subject[int]{
			Driver: func() daybook.Driver { return memory.New(nil) },
			Replay: replay,
			Start: func(_ context.Context, store *daybook.Store) (func(context.Context, int) error, error) {
				seen := map[int]bool{}
				return func(ctx context.Context, n int) error {
					seen[n] = true
					told = len(seen)
					_, err := store.AppendAll(ctx, daybook.Append{ID: daybook.IDOf(fmt.Sprint(n)), Changesets: []daybook.Changeset{{
						Stream: daybook.Stream("counter"), Events: []daybook.Event{{Type: "counted"}},
					}}})
					return err
				}, nil
			},
			Outcome: func(context.Context, *daybook.Store) (any, error) { return told, nil },
		}
	}
}

func TestAfterACrashMemoryIsGoneUnlessItIsReplayed(t *testing.T) {
	options := &daytest.CheckOptions{Faults: []daytest.Fault{daytest.CrashBefore, daytest.CrashAfter}}
	daytest.Check(t, remembering(true), []int{1, 2, 3}, options)
	watch(t, func(r *recorder) { daytest.Check(r, remembering(false), []int{1, 2, 3}, options) }).says(t, string(daytest.CrashBefore), "got:  2")
}

func TestWhatFailsWithoutFaultsIsSaidAtOnce(t *testing.T) {
	runs := 0
	for name, test := range map[string]struct {
		change func(*daytest.Subject[transfer])
		says   string
	}{
		"a handler": {func(s *daytest.Subject[transfer]) {
			s.Start = func(context.Context, *daybook.Store) (func(context.Context, transfer) error, error) {
				return func(context.Context, transfer) error { return errTooLittle }, nil
			}
		}, "without any fault: input 1, daytest_test.transfer{ID:t1 Account:account-1 Amount:30}, is not handled after 20 deliveries: " + errTooLittle.Error()},
		"starting": {func(s *daytest.Subject[transfer]) {
			s.Start = func(context.Context, *daybook.Store) (func(context.Context, transfer) error, error) {
				return nil, errTooLittle
			}
		}, "starting: " + errTooLittle.Error()},
		"filling": {func(s *daytest.Subject[transfer]) {
			s.Given = func(context.Context, *daybook.Store) error { return errTooLittle }
		}, "filling the store"},
		"an outcome by chance": {func(s *daytest.Subject[transfer]) {
			s.Outcome = func(context.Context, *daybook.Store) (any, error) { runs++; return runs, nil }
		}, "two runs without any fault come to different outcomes"},
		"no driver": {func(s *daytest.Subject[transfer]) { s.Driver = nil }, "needs Driver and Start"},
	} {
		subject := func() daytest.Subject[transfer] {
			s := program{}.subject()
			test.change(&s)
			return s
		}
		r := watch(t, func(r *recorder) { daytest.Check(r, subject, transfers, nil) })
		r.says(t, test.says)
		if len(r.failed) != 1 {
			t.Errorf("%s: said %q", name, r.failed)
		}
	}
}
