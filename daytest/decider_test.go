package daytest_test

import (
	"errors"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/daytest"
)

// The account of the tests.
type (
	account struct {
		Owner   string
		Balance int
		Last    []int
	}
	event     interface{ event() }
	opened    struct{ Owner string }
	deposited struct{ Amount int }
	withdrawn struct{ Amount int }
	command   interface{ command() }
	open      struct{ Owner string }
	withdraw  struct{ Amount int }
)

func (opened) event()     {}
func (deposited) event()  {}
func (withdrawn) event()  {}
func (open) command()     {}
func (withdraw) command() {}

var errTooLittle = errors.New("the balance is too small")

func initial() account { return account{} }

func decide(state account, c command) ([]event, error) {
	switch c := c.(type) {
	case open:
		if state.Owner != "" {
			return nil, nil
		}
		return []event{opened(c)}, nil
	case withdraw:
		if c.Amount > state.Balance {
			return nil, errTooLittle
		}
		return []event{withdrawn(c)}, nil
	}
	return nil, errors.New("an unknown command")
}

func evolve(state account, e event) account {
	switch e := e.(type) {
	case opened:
		state.Owner = e.Owner
	case deposited:
		state.Balance += e.Amount
		state.Last = append(state.Last[:len(state.Last):len(state.Last)], e.Amount)
	case withdrawn:
		state.Balance -= e.Amount
		state.Last = append(state.Last[:len(state.Last):len(state.Last)], -e.Amount)
	}
	return state
}

type decider = daytest.Decider[account, command, event]

var sound = decider{Initial: initial, Decide: decide, Evolve: evolve}

var accountCodec = codec.Must(codec.New[event](
	codec.Event[opened]("opened"), codec.Event[deposited]("deposited"), codec.Event[withdrawn]("withdrawn")))

func TestASoundDeciderPasses(t *testing.T) {
	sound.Given(t).When(open{"Ann"}).Then(opened{"Ann"}).ThenState(account{Owner: "Ann"})
	sound.Given(t, opened{"Ann"}).When(open{"Bob"}).Then()
	sound.Given(t, opened{"Ann"}, deposited{50}).When(withdraw{30}).Then(withdrawn{30}).
		And().When(withdraw{30}).ThenError(errTooLittle).ThenState(account{"Ann", 20, []int{50, -30}})
	if state := sound.Given(t, deposited{5}).State(); state.Balance != 5 {
		t.Errorf("balance %d", state.Balance)
	}
}

func TestAWrongExpectationFailsTheTest(t *testing.T) {
	for name, test := range map[string]struct {
		run  func(r *recorder)
		says []string
	}{
		"other events": {func(r *recorder) { sound.Given(r, deposited{50}).When(withdraw{30}).Then(withdrawn{31}) },
			[]string{"withdraw{Amount:30} comes to", "withdrawn{Amount:30}", "withdrawn{Amount:31}"}},
		"more events":            {func(r *recorder) { sound.Given(r).When(open{"Ann"}).Then() }, []string{"nothing"}},
		"refused":                {func(r *recorder) { sound.Given(r).When(withdraw{1}).Then(withdrawn{1}) }, []string{"error: " + errTooLittle.Error()}},
		"not refused":            {func(r *recorder) { sound.Given(r).When(open{"Ann"}).ThenError(nil) }, []string{"error: any"}},
		"refused with something": {func(r *recorder) { sound.Given(r).When(nil).ThenError(errTooLittle) }, []string{"error: an unknown command"}},
		"another state":          {func(r *recorder) { sound.Given(r).When(open{"Ann"}).ThenState(account{}) }, []string{"the state is", "Owner:Ann"}},
		"without evolve":         {func(r *recorder) { decider{Initial: initial, Decide: decide}.Given(r) }, []string{"needs Decide and Evolve"}},
	} {
		t.Run(name, func(t *testing.T) { watch(t, test.run).says(t, test.says...) })
	}
}

func TestAnImpureDeciderIsCaught(t *testing.T) {
	changing := sound
	changing.Decide = func(state account, c command) ([]event, error) {
		state.Last[0]++ // the array is the state's
		return nil, nil
	}
	watch(t, func(r *recorder) { changing.Given(r, deposited{1}).When(open{}).Then() }).says(t, "changes the state", "Last:[1]", "Last:[2]")

	calls := 0
	moody := sound
	moody.Decide = func(account, command) ([]event, error) {
		calls++
		return []event{deposited{calls}}, nil
	}
	watch(t, func(r *recorder) { moody.Given(r).When(open{}) }).says(t, "a second time comes to something else", "Amount:1", "Amount:2")

	shared := []int{0}
	sharing := sound
	sharing.Clone = func(state account) account { return state }
	sharing.Initial = func() account { return account{Last: shared} }
	sharing.Evolve = func(state account, _ event) account {
		state.Last[0]++
		state.Balance = state.Last[0]
		return state
	}
	watch(t, func(r *recorder) { sharing.Given(r, deposited{1}).State() }).says(t, "initial must return a new state", "Last:[1]", "Last:[2]")

	evolved := 0
	drifting := sound
	drifting.Evolve = func(state account, _ event) account {
		evolved++
		state.Balance = evolved
		return state
	}
	watch(t, func(r *recorder) { drifting.Given(r, deposited{1}).State() }).says(t, "another state the second time")

	inPlace := sound
	inPlace.Evolve = func(state account, _ event) account {
		if state.Last = append(state.Last, 0); len(state.Last) > 1 {
			state.Last[0]++
		}
		return state
	}
	inPlace.Initial = func() account { return account{Last: make([]int, 1, 9)} }
	watch(t, func(r *recorder) { inPlace.Given(r, deposited{1}, deposited{2}).State() }).says(t, "changes the state that it was given")
	inPlace.Clone = func(state account) account { return account{Last: append([]int(nil), state.Last...)} }
	inPlace.Given(t, deposited{1}, deposited{2}).When(open{"Ann"}).Then(opened{"Ann"})
	inPlace.Clone = func(account) account { return account{} }
	watch(t, func(r *recorder) { inPlace.Given(r, deposited{1}).State() }).says(t, "a clone is another state")

	inPlace.Clone = func(state account) account { return state }
	watch(t, func(r *recorder) { inPlace.Given(r, deposited{1}, deposited{2}).State() }).says(t, "evolving a clone changes the state")

	both := sound
	both.Decide = func(account, command) ([]event, error) { return []event{deposited{1}}, errTooLittle }
	watch(t, func(r *recorder) { both.Given(r).When(open{}) }).says(t, "events and an error")
}

func TestAFoldIsTestedByTheStateItComesTo(t *testing.T) {
	fold := daytest.Fold[account, event]{Initial: initial, Evolve: evolve, Immutable: true}
	fold.Given(t, opened{"Ann"}, deposited{5}, deposited{6}).Then(account{"Ann", 11, []int{5, 6}})
	watch(t, func(r *recorder) { fold.Given(r, deposited{5}).Then(account{}) }).says(t, "Balance:5")

	fold.Evolve = func(state account, e event) account {
		if state.Last == nil {
			state.Last = make([]int, 1)
		}
		state.Last[0]++
		return state
	}
	watch(t, func(r *recorder) { fold.Given(r, deposited{5}, deposited{6}).State() }).says(t, "changes the state that it was given")
	fold.Immutable = false
	fold.Given(t, deposited{5}, deposited{6}).Then(account{Last: []int{2}})
}

func TestAProjectionIsTestedByRecords(t *testing.T) {
	clock := daytest.NewClock(clockless)
	records := daytest.Records(t, accountCodec,
		daytest.Happened[event]{Stream: daybook.Stream("account-1"), At: clock.Now(), Values: []event{opened{"Ann"}, deposited{5}}},
		daytest.Happened[event]{Stream: daybook.Stream("account-2"), At: clock.Advance(1), Values: []event{opened{"Bob"}}},
		daytest.Happened[event]{Stream: daybook.Stream("account-1"), At: clock.Now(), Values: []event{deposited{6}}})
	last := records[3]
	if last.Version != 3 || last.Position != 4 || last.Changeset.Number != 2 || last.Changeset.First != 3 || last.Stream.Name != "account-1" {
		t.Errorf("got %+v", last)
	}
	count := daytest.Projection[map[string]int]{
		Initial: func() map[string]int { return map[string]int{} },
		Apply: func(state map[string]int, r *daybook.Record) (map[string]int, error) {
			state[r.Stream.Name]++
			return state, nil
		},
	}
	count.Given(t, records...).Then(map[string]int{"account-1": 3, "account-2": 1})
	watch(t, func(r *recorder) { count.Given(r, records...).Then(nil) }).says(t, "account-1:3")
	watch(t, func(r *recorder) { count.Given(r, records...).ThenError() }).says(t, "all records apply")

	failing := count
	failing.Apply = func(map[string]int, *daybook.Record) (map[string]int, error) { return nil, errTooLittle }
	failing.Given(t, records...).ThenError()
	watch(t, func(r *recorder) { failing.Given(r, records...).Then(nil) }).says(t, "applying record 1", errTooLittle.Error())

	keeping := daytest.Projection[[]string]{
		Initial: func() []string { return nil },
		Apply:   func(state []string, r *daybook.Record) ([]string, error) { return append(state, string(r.Data)), nil },
	}
	keeping.Given(t, records[2]).Then([]string{`{"Owner":"Bob"}`})
	borrowing := daytest.Projection[[][]byte]{
		Initial: func() [][]byte { return nil },
		Apply:   func(state [][]byte, r *daybook.Record) ([][]byte, error) { return append(state, r.Data), nil },
	}
	watch(t, func(r *recorder) { borrowing.Given(r, records[2]).Then([][]byte{records[2].Data}) }).says(t, "the state is")
}
