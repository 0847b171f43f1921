package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

// made says what comes of building a repository with options.
func made(with *options) error {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, err := aggregate.New(store, "account", events, decider, with)
	return err
}

func savingWith(change func(*savings)) *options {
	with := every(1)
	change(with)
	return &options{Snapshots: with}
}

// lent gives out one object again and again; selfish is its own clone.
type lent struct{ wallet }
type selfish struct{ purse }

func (s *selfish) Clone() *selfish { return s }

func objectsOf[T aggregate.Object[event]](create func() T, with *aggregate.Options[T, event]) error {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, err := aggregate.NewObjects(store, "account", events, create, with)
	return err
}

// TestWhatIsPutTogetherWronglyIsRefused has each mistake by itself, and what
// the error says.
func TestWhatIsPutTogetherWronglyIsRefused(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	type hidden struct{ balance int }
	hiding := aggregate.Decider[hidden, command, event]{
		Decide: func(hidden, command) ([]event, error) { return nil, nil },
		Evolve: func(h hidden, _ event) hidden { h.balance++; return h },
	}
	noop := func(context.Context, *aggregate.Transaction) error { return nil }
	one := &lent{}
	for _, c := range []struct {
		err  error
		says string
	}{
		{second(aggregate.New[account, command, event](nil, "account", events, decider, nil)), "store: must not be nil"},
		{second(aggregate.New(store, "account", nil, decider, nil)), "codec: must not be nil"},
		{second(aggregate.New(store, "account", events, aggregate.Decider[account, command, event]{}, nil)), "decider: Decide and Evolve must be set"},
		{second(aggregate.New(store, "account", events, aggregate.Decider[account, command, event]{Decide: decider.Decide}, nil)), "decider: Decide and Evolve must be set"},
		{second(aggregate.New(store, "", events, decider, nil)), `streamType: must not be empty, nor hold a "-", which ends it (it is "")`},
		{second(aggregate.New(store, "a-b", events, decider, nil)), `(it is "a-b")`},
		{second(aggregate.New(store, strings.Repeat("x", 1024), events, decider, nil)), "streamType: stream_id: 1025 bytes, the limit is 1024"},
		{second(aggregate.New(store, "!!!RESERVED:x", events, decider, nil)), "streamType: stream_id: names that begin with !!!RESERVED: are reserved"},
		{second(aggregate.New(store, "$snapshot", events, decider, nil)), `streamType: "$snapshot" is that of the streams of snapshots`},
		{made(&options{Cache: -1}), "options.Cache: must not be negative (it is -1)"},
		{made(&options{Retry: aggregate.Retry{MaxTries: -3}}), "options.Retry.MaxTries: must not be negative (it is -3)"},
		{made(&options{Retry: aggregate.Retry{MinWait: -time.Second}}), "options.Retry.MinWait: must not be negative (it is -1s)"},
		{made(&options{Retry: aggregate.Retry{MaxWait: -time.Second}}), "options.Retry.MaxWait: must not be negative (it is -1s)"},
		{made(&options{Retry: aggregate.Retry{MinWait: time.Second, MaxWait: time.Millisecond}}), "options.Retry.MinWait: must not be above MaxWait (it is 1s, and MaxWait 1ms)"},
		{made(savingWith(func(s *savings) { s.Name = "" })), `options.Snapshots.Name: must be 1 to 64 letters`},
		{made(savingWith(func(s *savings) { s.Name = "a/b" })), `(it is "a/b")`},
		{made(savingWith(func(s *savings) { s.Policy = nil })), "options.Snapshots.Policy: must be set"},
		{made(savingWith(func(s *savings) { s.Queue = -1 })), "options.Snapshots.Queue: must not be negative (it is -1)"},
		{made(savingWith(func(s *savings) { s.Samples = []event{deposited{1}, deposited{666}} })), "options.Snapshots.Samples[1]: "},
		{made(savingWith(func(s *savings) { s.Samples = []event{nil} })), "options.Snapshots.Samples[0]: must not be nil"},
		{second(aggregate.New(store, "account", events, hiding, &aggregate.Options[hidden, event]{
			Snapshots: &aggregate.Snapshots[hidden, event]{Name: "v1", Policy: aggregate.Every(1)},
		})), "options.Snapshots.Encoding: JSON loses a part of the state: aggregate_test.hidden.balance is not exported"},
		{objectsOf[*wallet](nil, nil), "create: must not be nil"},
		{objectsOf(func() *wallet { return nil }, nil), "create: must return an object (it returns nil)"},
		{objectsOf(func() *lent { return one }, nil), "create: must return a new object each time"},
		{objectsOf(func() *selfish { return &selfish{} }, nil), "Clone: must return another object"},
		{objectsOf(newWallet, &aggregate.Options[*wallet, event]{Cache: 1}), "options.Cache: objects without a method Clone cannot be kept"},
		{second(aggregate.Transact(t.Context(), nil, noop, nil)), "store: must not be nil"},
		{second(aggregate.Transact(t.Context(), store, nil, nil)), "run: must not be nil"},
		{second(aggregate.Transact(t.Context(), store, noop, &aggregate.TransactionOptions{Retry: aggregate.Retry{MaxTries: -1}})), "options.Retry.MaxTries: must not be negative (it is -1)"},
	} {
		var setup *aggregate.SetupError
		if !errors.As(c.err, &setup) || !errors.Is(c.err, daybook.ErrInvalid) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("it says %v, want %q", c.err, c.says)
		}
	}
}

// TestWhatACommandAsksWronglyIsRefusedAndStoresNothing has commands, and ways to
// give them, that cannot be carried out.
func TestWhatACommandAsksWronglyIsRefusedAndStoresNothing(t *testing.T) {
	b := newBank(t, &options{Cache: 10, Snapshots: every(1)})
	b.do("ann", deposit(5))
	objects := wallets(t, b.store, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	execute := func(id string, c command, o *aggregate.CommandOptions) error {
		return second(b.Execute(t.Context(), id, c, o))
	}
	long := strings.Repeat("x", 4097)
	for _, c := range []struct {
		wrong string
		err   error
		is    error
		says  string
	}{
		{"no id", execute("", deposit(1), nil), daybook.ErrInvalid, "id: must not be empty"},
		{"a long id", execute(strings.Repeat("x", 1020), deposit(1), nil), daybook.ErrInvalid, "stream_id: 1028 bytes, the limit is 1024"},
		{"an id that is no text", execute("\xff", deposit(1), nil), daybook.ErrInvalid, "stream_id: must be valid UTF-8"},
		{"a long partition", second(b.In(strings.Repeat("p", 257)).Execute(t.Context(), "ann", deposit(1), nil)), daybook.ErrInvalid, "partition: 257 bytes, the limit is 256"},
		{"a nil event", execute("ann", emit(deposited{1}, nil), nil), aggregate.ErrNilEvent, "events[1]: an event is nil"},
		{"a nil pointer", execute("ann", emit((*noted)(nil)), nil), aggregate.ErrNilEvent, "events[0]: an event is nil"},
		{"an event of no entry", execute("ann", emit(stranger{}), nil), codec.ErrUnregistered, "aggregate_test.stranger: the type has no entry in the codec"},
		{"an event that cannot be folded", execute("ann", emit(deposited{666}), nil), daybook.ErrInvalid, `stream "account-ann": the fold cannot take a new event aggregate_test.deposited`},
		{"100,000 events", execute("ann", emit(slices.Repeat([]event{deposited{1}}, 100_000)...), nil), daybook.ErrInvalid, "events: 100000 events, the limit is 10000"},
		{"a large event", execute("ann", emit(opened{strings.Repeat("x", 17<<20)}), nil), daybook.ErrInvalid, "changesets[0].events[0].data: 17825803 bytes, the limit is 16777216"},
		{"a long text", execute("ann", deposit(1), &aggregate.CommandOptions{Context: daybook.Context{Who: long}}), daybook.ErrInvalid, "changesets[0].events[0].context.who: 4097 bytes, the limit is 4096"},
		{"a context that has ended", second(b.Execute(ended, "bob", deposit(1), nil)), context.Canceled, "context canceled"},
		{"no change", second(objects.Update(t.Context(), "ann", nil, nil)), daybook.ErrInvalid, "change: must not be nil"},
		{"no object", second(objects.Persist(t.Context(), nil, nil)), daybook.ErrInvalid, "persist: the object must not be nil"},
		{"no transaction", second(b.ExecuteIn(t.Context(), nil, "ann", deposit(1))), daybook.ErrInvalid, "transaction: must not be nil"},
		{"no transaction to load in", second(b.LoadIn(t.Context(), nil, "ann")), daybook.ErrInvalid, "transaction: must not be nil"},
		{"no aggregate", second(b.Persist(t.Context(), aggregate.Loaded[account]{}, []event{deposited{1}}, nil)), daybook.ErrInvalid, "stream_id: must not be empty"},
		{"an aggregate of another type", second(b.Persist(t.Context(), aggregate.Loaded[account]{Stream: daybook.Stream("order-1")}, []event{deposited{1}}, nil)),
			daybook.ErrInvalid, "persist: the aggregate is a order, the repository is of type account"},
		{"a nil event to persist", second(b.Persist(t.Context(), aggregate.Loaded[account]{Stream: b.Stream("ann"), Version: 1}, []event{nil}, nil)), aggregate.ErrNilEvent, "events[0]"},
		{"a negative version", second(b.LoadAsOf(t.Context(), "ann", aggregate.AsOf{Version: -1})), daybook.ErrInvalid, "version: must not be negative (it is -1)"},
	} {
		if !errors.Is(c.err, c.is) || !strings.Contains(fmt.Sprint(c.err), c.says) {
			t.Errorf("%s: it says %v, want %q", c.wrong, c.err, c.says)
		}
	}
	if end, _ := b.store.End(t.Context()); b.version(b.Stream("ann")) != 1 || b.balance("ann") != 5 || end > 2 {
		t.Errorf("something was stored: the log ends at %d", end)
	}
}

// noted is an event that is used by its pointer.
type noted struct{ Text string }

func (*noted) event() {}

func TestAnErrorThatNothingWasStoredBehindSaysSo(t *testing.T) {
	b := newBank(t, nil)
	for name, err := range map[string]error{
		"evolve":  second(b.Execute(t.Context(), "ann", emit(deposited{666}), nil)),
		"nil":     second(b.Execute(t.Context(), "ann", emit(nil), nil)),
		"setup":   second(aggregate.New(b.store, "", events, decider, nil)),
		"encode":  second(b.Execute(t.Context(), "ann", emit(stranger{}), nil)),
		"too big": second(b.Execute(t.Context(), "ann", emit(make([]event, 10_001)...), nil)),
	} {
		if !errors.Is(err, daybook.ErrRefused) || !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%s: %v does not say so", name, err)
		}
	}
	if _, err := b.store.Append(t.Context(), b.Stream("ann"), daybook.ExpectAny(), daybook.Event{Type: "deposited", Data: []byte(`{"Amount":666}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Load(t.Context(), "ann"); errors.Is(err, daybook.ErrInvalid) || err == nil {
		t.Errorf("an event that is stored is said to be invalid input: %v", err)
	}
}

func TestAClosedStoreIsNamedByEveryVerb(t *testing.T) {
	b := newBank(t, &options{Cache: 10, Snapshots: every(1)})
	b.do("ann", deposit(5))
	objects := wallets(t, b.store, nil)
	held, err := objects.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	held.Deposit(1)
	_ = b.store.Close()
	for name, err := range map[string]error{
		"a command":                 second(b.Execute(t.Context(), "bob", deposit(1), nil)),
		"a command on what is kept": second(b.Execute(t.Context(), "ann", deposit(1), nil)),
		"a load":                    second(b.Load(t.Context(), "ann")),
		"a load as of":              second(b.LoadAsOf(t.Context(), "ann", aggregate.AsOf{Version: 1})),
		"a transaction":             second(transfer(t.Context(), b.store, b.accounts, "ann", "bob", 1, nil)),
		"an object":                 second(objects.Persist(t.Context(), held, nil)),
		"deleting":                  second(b.Delete(t.Context(), "ann", daybook.Deletion{})),
	} {
		if !errors.Is(err, daybook.ErrClosed) {
			t.Errorf("%s answers %v", name, err)
		}
	}
	if len(held.Pending()) != 1 {
		t.Error("what could not be persisted is lost")
	}
}

func TestAContextThatEndsBetweenTwoTriesIsTold(t *testing.T) {
	b := newBank(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	contended := b.again(&options{Retry: aggregate.Retry{Sleep: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }}})
	lose := func(account) ([]event, error) {
		b.fill("ann", 1) // somebody else is quicker
		return []event{withdrawn{1}}, nil
	}
	_, one := contended.Execute(ctx, "ann", lose, nil)
	_, all := aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
		return second(b.ExecuteIn(ctx, tx, "ann", lose))
	}, &aggregate.TransactionOptions{Retry: aggregate.Retry{Sleep: func(context.Context, time.Duration) error { return context.Canceled }}})
	var gaveUp *aggregate.ContendedError
	if !errors.As(one, &gaveUp) || gaveUp.Tries != 1 || gaveUp.Ended == nil || !errors.Is(one, context.Canceled) || !errors.Is(one, daybook.ErrConflict) ||
		!strings.HasSuffix(one.Error(), "then: context canceled") {
		t.Errorf("it answers %v", one)
	}
	if !errors.Is(all, context.Canceled) {
		t.Errorf("a transaction answers %v", all)
	}
	for record, err := range b.store.ReadStream(t.Context(), b.Stream("ann"), daybook.StreamRead{}) {
		if err != nil || record.Type == "withdrawn" {
			t.Errorf("%v, %v is stored", record.Type, err)
		}
	}
}

// TestTwoRepositoriesOfOneTypeWithOtherEventsDoNotMix has two programs that
// take one stream type for different aggregates.
func TestTwoRepositoriesOfOneTypeWithOtherEventsDoNotMix(t *testing.T) {
	b := newBank(t, &options{Cache: 10})
	type renamed struct{ Title string }
	others, err := aggregate.New(b.store, "account", codec.Must(codec.New[renamed](codec.Event[renamed]("renamed"))), aggregate.Decider[string, string, renamed]{
		Decide: func(_ string, title string) ([]renamed, error) { return []renamed{{title}}, nil },
		Evolve: func(_ string, e renamed) string { return e.Title },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.do("ann", deposit(5))
	var decode *codec.DecodeError
	if _, err := others.Execute(t.Context(), "ann", "Ms", nil); !errors.As(err, &decode) || decode.Type != "deposited" || decode.Version != 1 || decode.Stream != b.Stream("ann") {
		t.Errorf("a stream of others answers %v", err)
	}
	if _, err := others.Execute(t.Context(), "bob", "Mr", nil); err != nil {
		t.Fatal(err)
	}
	// This one is from the cache, and hears of the other in the conflict.
	b.do("eve", deposit(5))
	if _, err := b.store.Append(t.Context(), b.Stream("eve"), daybook.ExpectAny(), daybook.Event{Type: "renamed", Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"bob", "eve"} {
		if _, err := b.Execute(t.Context(), id, deposit(1), nil); !errors.As(err, &decode) || decode.Type != "renamed" {
			t.Errorf("%s answers %v", id, err)
		}
	}
	if b.version(b.Stream("bob")) != 1 || b.version(b.Stream("eve")) != 2 {
		t.Error("something was stored behind what could not be read")
	}
}

func TestASnapshotThatCannotBeTakenFailsNoCommand(t *testing.T) {
	for name, with := range map[string]*savings{
		"a policy that panics":    {Name: "v1", Policy: func(aggregate.Due) bool { panic("mine") }},
		"an encoding that panics": {Name: "v1", Policy: aggregate.Every(1), Encoding: &bursting{}},
		"a store that panics":     {Name: "v1", Policy: aggregate.Every(1), Store: panicking{}},
		"a huge state":            {Name: "v1", Policy: aggregate.Every(1), Encoding: huge{}},
	} {
		seen := &notes{}
		b := newBank(t, &options{Snapshots: with, Hooks: seen.hooks()})
		if result := b.do("ann", deposit(5)); result.Version != 1 {
			t.Errorf("%s: %+v", name, result)
		}
		settle(t, b.accounts)
		if got := seen.outcomes(); !slices.Equal(got, []aggregate.SnapshotOutcome{aggregate.SnapshotFailed}) {
			t.Errorf("%s is told as %v", name, got)
		}
		if b.balance("ann") != 5 {
			t.Errorf("%s: ann has %d", name, b.balance("ann"))
		}
	}
}

// bursting is an encoding that works while the repository is built only.
type bursting struct {
	codec.JSON
	times int
}

func (b *bursting) Encode(value any) ([]byte, error) {
	if b.times++; b.times > 2 {
		panic("burst")
	}
	return b.JSON.Encode(value)
}

// huge writes states that no store takes.
type huge struct{ codec.JSON }

func (huge) Encode(value any) ([]byte, error) {
	if value.(account).Balance == 0 {
		return codec.JSON{}.Encode(value)
	}
	return make([]byte, 17<<20), nil
}

// panicking is a store of snapshots.
type panicking struct{ failing }

func (panicking) Save(context.Context, aggregate.Snapshot) error { panic("mine") }
func (panicking) Newest(context.Context, daybook.StreamID, string, aggregate.AsOf) (*aggregate.Snapshot, error) {
	return nil, nil
}

func TestIntervalsOfNothingAreNever(t *testing.T) {
	due := aggregate.Due{Before: 0, After: 100, Since: time.Unix(0, 0), Now: time.Unix(9999, 0)}
	for name, policy := range map[string]aggregate.SnapshotPolicy{
		"every 0": aggregate.Every(0), "every -5": aggregate.Every(-5), "no period": aggregate.EveryPeriod(0), "a negative period": aggregate.EveryPeriod(-time.Hour),
		"none": aggregate.AnyOf(), "nil ones": aggregate.AnyOf(nil, nil),
	} {
		if policy(due) {
			t.Errorf("%s is due", name)
		}
	}
}
