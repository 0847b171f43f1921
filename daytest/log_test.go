package daytest_test

import (
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

var clockless time.Time

func TestALogTellsWhatCameAfterWhatWasGiven(t *testing.T) {
	clock := daytest.NewClock(clockless)
	log := daytest.NewLog(t, memory.New(&memory.Options{Now: clock.Now}), accountCodec)
	defer log.Close()
	one, two := daybook.Stream("account-1"), daybook.Stream("account-2")
	log.Given(one, opened{"Ann"}, deposited{50}).Given(two, opened{"Bob"}).ThenNothing().Then(one)

	clock.Advance(time.Hour)
	if _, err := log.Append(t.Context(), one, daybook.ExpectVersion(2), daybook.Event{Type: "withdrawn", Data: []byte(`{"Amount":30}`)}); err != nil {
		t.Fatal(err)
	}
	log.Then(one, withdrawn{30}).Then(two)
	after := log.After()
	if len(log.Records()) != 4 || len(after) != 1 || !after[0].RecordedAt.Equal(time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("after: %+v", after)
	}
	contents, err := daytest.Contents(t.Context(), log.Store)
	if err != nil || len(contents) != 2 || contents["account-2"][0] != `opened {"Owner":"Bob"}` {
		t.Errorf("contents %v, %v", contents, err)
	}

	watched := watch(t, func(r *recorder) {
		other := daytest.NewLog(r, memory.New(nil), accountCodec)
		defer other.Close()
		other.Given(one, opened{"Ann"})
		_, _ = other.Append(r.ctx, one, daybook.ExpectAny(), daybook.Event{Type: "deposited", Data: []byte(`{"Amount":1}`)})
		other.Then(one, deposited{2}).ThenNothing()
		other.Given(one, nil)
	})
	watched.says(t, "Amount:1", "Amount:2", "1 records came, the first is deposited", "filling stream account-1")
}

func TestAClockStandsStillUntilItIsMoved(t *testing.T) {
	clock := daytest.NewClock(time.UnixMicro(5))
	if first := clock.Now(); clock.Now() != first || !clock.Advance(time.Second).Equal(time.UnixMicro(1_000_005)) {
		t.Errorf("now %v", clock.Now())
	}
	if clock.Set(time.UnixMicro(1)); !clock.Now().Equal(time.UnixMicro(1)) {
		t.Errorf("now %v", clock.Now())
	}
}
