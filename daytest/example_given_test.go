package daytest_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// Nothing has happened yet, so that opening the account opens it.
func ExampleDecider_Given() {
	sound.Given(t).When(open{"Ann"}).Then(opened{"Ann"})
	sound.Given(t, opened{"Ann"}).When(open{"Ann"}).Then() // it is open: nothing is to be done
	// Output:
}

// Then names all events of the decision, in their order.
func ExampleDecided_Then() {
	sound.Given(t).When(open{"Ann"}).Then()
	// Output:
	// daytest: daytest_test.open{Owner:Ann} comes to
	//     daytest_test.opened{Owner:Ann}
	// want
	//     nothing
}

// ThenError asks for the reason.
func ExampleDecided_ThenError() {
	sound.Given(t, deposited{50}).When(withdraw{300}).ThenError(errTooLittle)
	sound.Given(t, deposited{50}).When(withdraw{30}).ThenError(errTooLittle)
	// Output:
	// daytest: daytest_test.withdraw{Amount:30} comes to
	//     daytest_test.withdrawn{Amount:30}
	// want
	//     error: the balance is too small
}

// deposits counts them.
var deposits = daytest.Fold[int, event]{Evolve: func(count int, e event) int {
	if _, is := e.(deposited); is {
		count++
	}
	return count
}}

func ExampleFold_Given() {
	deposits.Given(t).Then(0)
	deposits.Given(t, opened{"Ann"}, deposited{5}).Then(1)
	// Output:
}

func ExampleFolded_Then() {
	deposits.Given(t, opened{"Ann"}, deposited{5}).Then(2)
	// Output:
	// daytest: the state is
	//     1
	// want
	//     2
}

func ExampleFolded_State() {
	fmt.Println(deposits.Given(t, deposited{5}, deposited{7}).State())
	// Output: 2
}

// lengths sums up the data of each type, and takes no record without any.
var lengths = daytest.Projection[map[string]int]{
	Initial: func() map[string]int { return map[string]int{} },
	Apply: func(sums map[string]int, r *daybook.Record) (map[string]int, error) {
		if len(r.Data) == 0 {
			return sums, errors.New("there is nothing in it")
		}
		sums[r.Type] += len(r.Data)
		return sums, nil
	},
}

func ExampleProjection_Given() {
	records := daytest.Records(t, accountCodec, daytest.Happened[event]{Stream: daybook.Stream("account-1"), Values: []event{deposited{5}, deposited{6}}})
	lengths.Given(t, records...).Then(map[string]int{"deposited": len(`{"Amount":5}`) + len(`{"Amount":6}`)})
	// Output:
}

func ExampleProjected_Then() {
	lengths.Given(t, daybook.Record{Event: daybook.Event{Type: "opened", Data: []byte(`{}`)}}).Then(nil)
	// Output:
	// daytest: the state is
	//     map[opened:2]
	// want
	//     map[]
}

func ExampleProjected_ThenError() {
	lengths.Given(t, daybook.Record{Event: daybook.Event{Type: "opened"}}).ThenError()
	lengths.Given(t, daybook.Record{Event: daybook.Event{Type: "opened", Data: []byte(`{}`)}}).ThenError()
	// Output:
	// daytest: all records apply, to
	//     map[opened:2]
}

// Two times are the same when they say so, in whatever zone.
func ExampleComparing() {
	newest := daytest.Fold[time.Time, time.Time]{Evolve: func(newest, at time.Time) time.Time {
		if at.After(newest) {
			return at
		}
		return newest
	}}
	noon := time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)
	there := noon.In(time.FixedZone("CEST", 2*60*60))
	same := func(a, b any) bool { return a.(time.Time).Equal(b.(time.Time)) }
	newest.Given(daytest.Comparing(t, same), there).Then(noon)
	newest.Given(t, there).Then(noon)
	// Output:
	// daytest: the state is
	//     2026-05-04 14:00:00 +0200 CEST
	// want
	//     2026-05-04 12:00:00 +0000 UTC
}

// Now is handed to whatever asks for a clock.
func ExampleClock_Now() {
	clock := daytest.NewClock(time.Time{})
	store := daybook.New(memory.New(&memory.Options{Now: clock.Now}), nil)
	defer store.Close()
	receipt, _ := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), daybook.Event{Type: "opened"})
	fmt.Println(receipt.RecordedAt.Equal(clock.Now()), clock.Now())
	// Output: true 2026-01-01 12:00:00 +0000 UTC
}

// An offer ends with the year.
func ExampleClock_Set() {
	clock := daytest.NewClock(time.Time{})
	ends := time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{ends.Add(-time.Second), ends} {
		clock.Set(at)
		fmt.Println(clock.Now().Before(ends))
	}
	// Output:
	// true
	// false
}

// Nobody has to wait for an hour to be over.
func ExampleClock_Advance() {
	clock := daytest.NewClock(time.Time{})
	until := clock.Now().Add(time.Hour)
	fmt.Println(clock.Advance(59*time.Minute).Before(until), clock.Advance(time.Minute).Before(until))
	// Output: true false
}

// filled returns a log on which an account was opened, on a clock that stands
// still.
func filled() *daytest.Log[event] {
	clock := daytest.NewClock(time.Time{})
	return daytest.NewLog(t, memory.New(&memory.Options{Now: clock.Now}), accountCodec).
		Given(daybook.Stream("account-1"), opened{"Ann"}, deposited{50})
}

// withdrawing has the program under test withdraw.
func withdrawing(log *daytest.Log[event], amount int) {
	handle, _ := program{}.start(t.Context(), log.Store)
	if err := handle(t.Context(), transfer{ID: "t1", Account: "account-1", Amount: amount}); err != nil {
		fmt.Println(err)
	}
}

// What is given may go to several streams.
func ExampleLog_Given() {
	log := filled().Given(daybook.Stream("account-2"), opened{"Bob"})
	defer log.Close()
	head, _ := log.Head(t.Context(), daybook.Stream("account-2"))
	fmt.Println(head.Version, len(log.After()))
	// Output: 1 0
}

func ExampleLog_Records() {
	log := filled()
	defer log.Close()
	withdrawing(log, 20)
	for _, record := range log.Records() {
		fmt.Println(record.Position, record.Type, string(record.Data))
	}
	// Output:
	// 1 opened {"Owner":"Ann"}
	// 2 deposited {"Amount":50}
	// 3 withdrawn {"Amount":20}
}

func ExampleLog_After() {
	log := filled()
	defer log.Close()
	withdrawing(log, 20)
	for _, record := range log.After() {
		fmt.Println(record.Type, "by append", record.Changeset.AppendID == daybook.IDOf("t1"))
	}
	// Output: withdrawn by append true
}

func ExampleLog_Then() {
	log := filled()
	defer log.Close()
	withdrawing(log, 20)
	log.Then(daybook.Stream("account-1"), withdrawn{20})
	log.Then(daybook.Stream("account-2"), withdrawn{20})
	// Output:
	// daytest: to stream account-2 came
	//     nothing
	// want
	//     daytest_test.withdrawn{Amount:20}
}

// What was refused leaves no trace, in any stream.
func ExampleLog_ThenNothing() {
	log := filled()
	defer log.Close()
	withdrawing(log, 70)
	log.ThenNothing()
	withdrawing(log, 20)
	log.ThenNothing()
	// Output:
	// daytest: 1 records came, the first is withdrawn to stream account-1; want none
}
