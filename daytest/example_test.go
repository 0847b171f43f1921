package daytest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// t stands for the *testing.T of a test; it prints what it is told.
var t = printer{}

type printer struct{}

func (printer) Helper()                  {}
func (printer) Context() context.Context { return context.Background() }
func (printer) Logf(string, ...any)      {}

func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printer) Fatalf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func Example() {
	account := daytest.Decider[account, command, event]{Initial: initial, Decide: decide, Evolve: evolve}

	account.Given(t, opened{"Ann"}, deposited{50}).When(withdraw{30}).Then(withdrawn{30})
	account.Given(t, opened{"Ann"}, deposited{50}).When(withdraw{300}).ThenError(errTooLittle)
	account.Given(t, opened{"Ann"}, deposited{50}).When(withdraw{20}).Then(withdrawn{30})
	// Output:
	// daytest: daytest_test.withdraw{Amount:20} comes to
	//     daytest_test.withdrawn{Amount:20}
	// want
	//     daytest_test.withdrawn{Amount:30}
}

// What happened is given to the next command.
func ExampleDecided_And() {
	sound.Given(t, deposited{50}).
		When(withdraw{30}).Then(withdrawn{30}).
		And().When(withdraw{30}).ThenError(errTooLittle)
	// Output:
}

// A decide that changes the state is caught.
func ExampleGiven_When() {
	changing := sound
	changing.Decide = func(state account, c command) ([]event, error) {
		state.Last[0] = 7 // the slice is the state's own
		return nil, nil
	}
	changing.Given(t, deposited{50}).When(withdraw{30})
	// Output:
	// daytest: deciding on daytest_test.withdraw{Amount:30} changes the state, which only evolve may
	//     before: {Owner: Balance:50 Last:[50]}
	//     after:  {Owner: Balance:50 Last:[7]}
}

func ExampleGiven_State() {
	fmt.Println(sound.Given(t, opened{"Ann"}, deposited{50}).State().Balance)
	// Output: 50
}

func ExampleDecided_ThenState() {
	sound.Given(t, deposited{50}).When(withdraw{30}).ThenState(account{Balance: 20, Last: []int{50, -30}})
	// Output:
}

func ExampleFold() {
	balance := daytest.Fold[int, event]{
		Initial: func() int { return 0 },
		Evolve: func(sum int, e event) int {
			if d, ok := e.(deposited); ok {
				sum += d.Amount
			}
			return sum
		},
	}
	balance.Given(t, opened{"Ann"}, deposited{50}, deposited{5}).Then(55)
	fmt.Println(balance.Given(t, deposited{7}).State())
	// Output: 7
}

// A projection is given records; Records makes them without a store.
func ExampleProjection() {
	perStream := daytest.Projection[map[string]int]{
		Initial: func() map[string]int { return map[string]int{} },
		Apply: func(counts map[string]int, r *daybook.Record) (map[string]int, error) {
			counts[r.Stream.Name]++
			return counts, nil
		},
	}
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	records := daytest.Records(t, accountCodec,
		daytest.Happened[event]{Stream: daybook.Stream("account-1"), At: at, Values: []event{opened{"Ann"}, deposited{5}}},
		daytest.Happened[event]{Stream: daybook.Stream("account-2"), At: at.Add(time.Hour), Values: []event{opened{"Bob"}}})
	perStream.Given(t, records...).Then(map[string]int{"account-1": 2, "account-2": 1})
	// Output:
}

func ExampleRecords() {
	records := daytest.Records(t, accountCodec,
		daytest.Happened[event]{Stream: daybook.Stream("account-1"), Values: []event{opened{"Ann"}, deposited{5}}},
		daytest.Happened[event]{Stream: daybook.Stream("account-1"), Values: []event{deposited{6}}})
	for _, r := range records {
		fmt.Println(r.Position, r.Version, r.Changeset.Number, r.Type)
	}
	// Output:
	// 1 1 1 opened
	// 2 2 1 deposited
	// 3 3 2 deposited
}

// What reads and appends is tested on a filled store, on a clock in the test's
// hand.
func ExampleNewLog() {
	clock := daytest.NewClock(time.Time{})
	log := daytest.NewLog(t, memory.New(&memory.Options{Now: clock.Now}), accountCodec)
	defer log.Close()
	stream := daybook.Stream("account-1")
	log.Given(stream, opened{"Ann"}, deposited{50})

	clock.Advance(time.Hour)
	handle, _ := program{}.start(t.Context(), log.Store) // the program under test
	fmt.Println(handle(t.Context(), transfer{ID: "t1", Account: "account-1", Amount: 30}))

	log.Then(stream, withdrawn{30})
	fmt.Println(log.After()[0].RecordedAt)
	// Output:
	// <nil>
	// 2026-01-01 13:00:00 +0000 UTC
}

func ExampleContents() {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, _ = store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), daybook.Event{Type: "opened", Data: []byte(`{}`)})
	fmt.Println(daytest.Contents(t.Context(), store))
	// Output: map[account-1:[opened {}]] <nil>
}

func ExampleNewClock() {
	clock := daytest.NewClock(time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC))
	clock.Advance(90 * time.Minute)
	fmt.Println(clock.Now())
	clock.Set(time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC))
	fmt.Println(clock.Now())
	// Output:
	// 2026-05-01 11:30:00 +0000 UTC
	// 2027-05-01 00:00:00 +0000 UTC
}

// A program that gives its appends no id stores them twice when an answer is
// lost.
func ExampleCheck() {
	inputs := []transfer{{"t1", "account-1", 30}}
	daytest.Check(t, program{nameless: true}.subject, inputs, &daytest.CheckOptions{
		Faults: []daytest.Fault{daytest.LostAnswer},
		Runs:   -1, // no mix of faults by chance
	})
	// Output:
	// daytest: an append that fails and is stored changes the outcome
	//     an append that fails and is stored: append 1, of withdrawn to stream account-1, while input 1 is handled: daytest_test.transfer{ID:t1 Account:account-1 Amount:30}
	//     got:  map[account-1:[deposited {"Amount":100} withdrawn {"Amount":30} withdrawn {"Amount":30}] account-2:[deposited {"Amount":100}]]
	//     want: map[account-1:[deposited {"Amount":100} withdrawn {"Amount":30}] account-2:[deposited {"Amount":100}]]
}

func ExampleFaults() {
	for _, fault := range daytest.Faults() {
		fmt.Println(fault)
	}
	// Output:
	// a crash before an append is stored
	// a crash after an append is stored
	// an append that fails and is not stored
	// an append that fails and is stored
	// an append that fails and is stored later
	// an append that meets a conflict
	// a crash in the middle of a read
	// a read that fails
	// a read that fails in the middle
	// reads that fail one after the other, each further on
	// an input that is delivered twice
	// an input that is delivered again at the end
	// another order of inputs of different lanes
	// two programs that share the inputs
	// an input that two programs handle at once
	// inputs of different lanes that two programs handle at once
}

func ExampleStreamLane() {
	one := daybook.Record{Stream: daybook.Stream("account-1"), Version: 1}
	two := daybook.Record{Stream: daybook.Stream("account-1"), Version: 2}
	fmt.Println(daytest.StreamLane(one) == daytest.StreamLane(two))
	// Output: true
}
