package daytest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// TestATestThatIsPutTogetherWronglyIsToldSo has each mistake by itself, and what
// the test says.
func TestATestThatIsPutTogetherWronglyIsToldSo(t *testing.T) {
	check := func(change func(*daytest.Subject[payment]), o *daytest.CheckOptions) func(*recorder) {
		return func(r *recorder) {
			daytest.Check(r, func() daytest.Subject[payment] {
				s := tillSubject((*till).soundly)()
				change(&s)
				return s
			}, payments, o)
		}
	}
	same := func(*daytest.Subject[payment]) {}
	refusing := sound
	refusing.Decide = func(account, command) ([]event, error) { return []event{deposited{1}, nil}, nil }
	one := daybook.Stream("account-1")
	for wrong, test := range map[string]struct {
		run  func(r *recorder)
		says string
	}{
		"a decider without decide":   {func(r *recorder) { decider{Evolve: evolve}.Given(r) }, "a Decider needs Decide and Evolve"},
		"a decider given nil":        {func(r *recorder) { sound.Given(r, opened{"Ann"}, nil) }, "event 2 that is given is nil"},
		"a decider that gives nil":   {func(r *recorder) { refusing.Given(r).When(open{"Ann"}) }, "gives nil as event 2"},
		"a fold without evolve":      {func(r *recorder) { daytest.Fold[account, event]{}.Given(r) }, "a Fold needs Evolve"},
		"a fold given nil":           {func(r *recorder) { daytest.Fold[account, event]{Evolve: evolve}.Given(r, nil) }, "event 1 that is given is nil"},
		"a projection without apply": {func(r *recorder) { daytest.Projection[int]{}.Given(r) }, "a Projection needs Apply"},
		"a log without a driver":     {func(r *recorder) { daytest.NewLog(r, nil, accountCodec) }, "a Log needs a driver"},
		"a log without a codec":      {func(r *recorder) { daytest.NewLog[event](r, memory.New(nil), nil) }, "a Log needs a codec"},
		"records without a codec":    {func(r *recorder) { daytest.Records[event](r, nil) }, "Records needs a codec"},
		"records of no stream": {func(r *recorder) {
			daytest.Records(r, accountCodec, daytest.Happened[event]{Values: []event{opened{"Ann"}}})
		}, "stream_id: must not be empty"},
		"records of nothing": {func(r *recorder) { daytest.Records(r, accountCodec, daytest.Happened[event]{Stream: one}) }, "events: must hold at least one event"},
		"records of nil": {func(r *recorder) {
			daytest.Records(r, accountCodec, daytest.Happened[event]{Stream: one, Values: []event{nil}})
		}, "the value is nil"},
		"a check without a subject":     {func(r *recorder) { daytest.Check[payment](r, nil, payments, nil) }, "Check needs a subject"},
		"a check without inputs":        {func(r *recorder) { daytest.Check(r, tillSubject((*till).soundly), nil, nil) }, "Check needs inputs"},
		"a fault that nobody knows":     {check(same, &daytest.CheckOptions{Faults: []daytest.Fault{"an earthquake"}}), `there is no fault "an earthquake"`},
		"a negative number of places":   {check(same, &daytest.CheckOptions{Places: -1}), "options.Places must not be negative (it is -1)"},
		"one delivery only":             {check(same, &daytest.CheckOptions{Deliveries: 1}), "options.Deliveries must be 2 at least"},
		"a subject without a driver":    {check(func(s *daytest.Subject[payment]) { s.Driver = nil }, nil), "a Subject needs Driver and Start"},
		"a subject without a start":     {check(func(s *daytest.Subject[payment]) { s.Start = nil }, nil), "a Subject needs Driver and Start"},
		"a subject with no driver":      {check(func(s *daytest.Subject[payment]) { s.Driver = func() daybook.Driver { return nil } }, nil), "the Driver of a Subject is nil"},
		"a subject that starts nothing": {check(startsNothing, nil), "Start returns no function"},
	} {
		r := watch(t, test.run)
		if all := strings.Join(r.failed, "\n"); !strings.Contains(all, test.says) {
			t.Errorf("%s: the test says %q, want %q", wrong, all, test.says)
		}
	}
	t.Setenv("DAYBOOK_SEED", "x")
	watch(t, check(same, nil)).says(t, `DAYBOOK_SEED: strconv.ParseUint: parsing "x"`)
}

func startsNothing(s *daytest.Subject[payment]) {
	s.Start = func(context.Context, *daybook.Store) (func(context.Context, payment) error, error) { return nil, nil }
}
