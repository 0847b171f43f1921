package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// team is a store, and the connection of a team that keeps its own table beside.
type team struct {
	*testing.T
	address string
	driver  *postgres.Driver
	store   *daybook.Store
	own     *pgx.Conn
	table   string
}

func newTeam(t *testing.T) *team {
	t.Helper()
	address := freshSchema(t)
	d := open(t, address, nil)
	tm := &team{T: t, address: address, driver: d, store: daybook.New(d, nil), own: connect(t, os.Getenv(urlVariable)), table: postgres.Schema(d) + ".orders"}
	if _, err := tm.own.Exec(t.Context(), "CREATE TABLE "+tm.table+" (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return tm
}

func (t *team) begin(on *pgx.Conn) pgx.Tx {
	t.Helper()
	tx, err := on.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func (t *team) promise(tx pgx.Tx, a daybook.Append) postgres.Promise {
	t.Helper()
	p, err := t.driver.AppendTx(t.Context(), tx, a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (t *team) commit(tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (t *team) append(a daybook.Append) daybook.Receipt {
	t.Helper()
	r, err := t.store.AppendAll(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// types returns the types of the events of the log, in order, and checks that
// positions and ordinals of the log have no gap.
func (t *team) types() []string {
	t.Helper()
	var types []string
	ordinal := daybook.Ordinal(0)
	for record, err := range t.store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		if types = append(types, record.Type); int(record.Position) != len(types) {
			t.Errorf("record %d of the log stands at position %d", len(types), record.Position)
		}
		if o := record.Changeset.Ordinal; o != ordinal && o != ordinal+1 {
			t.Errorf("behind ordinal %d stands %d", ordinal, o)
		}
		ordinal = record.Changeset.Ordinal
	}
	return types
}

func (t *team) wantTypes(want ...string) {
	t.Helper()
	if got := t.types(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log holds %v, want %v", got, want)
	}
}

// one is an append of one event to a stream.
func one(stream string, expect daybook.Expect, event string) daybook.Append {
	return daybook.Append{
		ID:         daybook.NewID(),
		Changesets: []daybook.Changeset{{Stream: daybook.Stream(stream), Expect: expect, Events: []daybook.Event{{Type: event, Data: []byte(`{"n":1}`)}}}},
	}
}

func TestRowsAndEventsCommitTogether(t *testing.T) {
	tm := newTeam(t)
	tx := tm.begin(tm.own)
	if _, err := tx.Exec(t.Context(), "INSERT INTO "+tm.table+" VALUES ('7')"); err != nil {
		t.Fatal(err)
	}
	a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{
		{Stream: daybook.Stream("order-7"), Expect: daybook.ExpectNone(), Metadata: []byte(`{"m":1}`), Claims: []daybook.Claim{{Kind: "number", Value: "7"}},
			Events: []daybook.Event{{Type: "placed", Tags: []string{"order:7"}, Context: daybook.Context{Who: "ann"}}, {Type: "paid"}}},
		{Stream: daybook.Stream("customer-1"), References: []daybook.StreamID{daybook.Stream("order-7")}, Events: []daybook.Event{{Type: "ordered"}}},
	}}
	p := tm.promise(tx, a)
	want := []postgres.PromisedChangeset{{Stream: daybook.Stream("order-7"), Number: 1, First: 1, Last: 2}, {Stream: daybook.Stream("customer-1"), Number: 1, First: 1, Last: 1}}
	if p.AppendID != a.ID || p.Repeated || fmt.Sprint(p.Changesets) != fmt.Sprint(want) {
		t.Errorf("promised: %+v, want %+v", p, want)
	}
	if tm.wantTypes(); t.Failed() {
		t.Fatal("events are seen before the transaction has committed")
	}
	tm.commit(tx)
	tm.wantTypes("placed", "paid", "ordered")
	receipt := tm.append(a)
	if !receipt.Repeated || receipt.Position() != 3 || receipt.Changesets[0].FirstPosition != 1 || receipt.Changesets[1].Ordinal != 2 || receipt.RecordedAt.IsZero() {
		t.Errorf("the same append after the commit is answered with %+v", receipt)
	}
	for record, err := range tm.store.ReadLog(t.Context(), daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"order:7"}}}}}}) {
		if err != nil || record.Context.Who != "ann" || string(record.Changeset.Metadata) != `{"m":1}` || len(record.Changeset.Claims) != 1 {
			t.Errorf("found by its tag: %+v %+v %v", record, record.Changeset, err)
		}
	}
	if holder, held, err := tm.store.ClaimHolder(t.Context(), "", daybook.Claim{Kind: "number", Value: "7"}); err != nil || !held || holder.Name != "order-7" {
		t.Errorf("the claim is held by %v %v %v", holder, held, err)
	}
}

func TestEachReaderSettlesWhatIsCommitted(t *testing.T) {
	claim := daybook.Claim{Kind: "number", Value: "7"}
	readers := map[string]func(ctx context.Context, s *daybook.Store) (bool, error){
		"end": func(ctx context.Context, s *daybook.Store) (bool, error) {
			end, err := s.End(ctx)
			return end == 2, err
		},
		"head": func(ctx context.Context, s *daybook.Store) (bool, error) {
			head, err := s.Head(ctx, daybook.Stream("order-7"))
			return head.Version == 1 && head.Position == 2, err
		},
		"stream": func(ctx context.Context, s *daybook.Store) (bool, error) {
			for r, err := range s.ReadStream(ctx, daybook.Stream("order-7"), daybook.StreamRead{}) {
				return r.Position == 2, err
			}
			return false, nil
		},
		"log backwards": func(ctx context.Context, s *daybook.Store) (bool, error) {
			for r, err := range s.ReadLog(ctx, daybook.LogRead{Backwards: true}) {
				return r.Position == 2, err
			}
			return false, nil
		},
		"list": func(ctx context.Context, s *daybook.Store) (bool, error) {
			n := 0
			for _, err := range s.ListStreams(ctx, daybook.StreamList{}) {
				if err != nil {
					return false, err
				}
				n++
			}
			return n == 2, nil
		},
		"statistics": func(ctx context.Context, s *daybook.Store) (bool, error) {
			stats, err := s.Stats(ctx)
			return stats.Records == 2 && stats.LastPosition == 2, err
		},
		"claim": func(ctx context.Context, s *daybook.Store) (bool, error) {
			_, held, err := s.ClaimHolder(ctx, "", claim)
			return held, err
		},
		"wait": func(ctx context.Context, s *daybook.Store) (bool, error) { return true, s.Wait(ctx, 1) },
		"a conflict": func(ctx context.Context, s *daybook.Store) (bool, error) {
			_, err := s.Append(ctx, daybook.Stream("order-7"), daybook.ExpectNone(), daybook.Event{Type: "x"})
			conflict, is := errors.AsType[*daybook.ConflictError](err)
			return is && conflict.Found.Position == 2, nil
		},
	}
	for name, sees := range readers {
		t.Run(name, func(t *testing.T) {
			tm := newTeam(t)
			tm.append(one("order-1", daybook.ExpectAny(), "placed"))
			tx := tm.begin(tm.own)
			a := one("order-7", daybook.ExpectNone(), "placed")
			a.Changesets[0].Claims = []daybook.Claim{claim}
			tm.promise(tx, a)
			tm.commit(tx)
			// Another driver, as after a crash of the process that promised.
			ok, err := sees(t.Context(), daybook.New(open(t, tm.address, nil), nil))
			if err != nil || !ok {
				t.Errorf("a reader does not see what is committed: %v %v", ok, err)
			}
		})
	}
}

func TestARollbackLeavesNoTrace(t *testing.T) {
	tm := newTeam(t)
	a := one("order-7", daybook.ExpectNone(), "placed")
	a.Changesets[0].Claims = []daybook.Claim{{Kind: "number", Value: "7"}}
	tx := tm.begin(tm.own)
	tm.promise(tx, a)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	tm.wantTypes()
	if receipt := tm.append(a); receipt.Repeated || receipt.Position() != 1 {
		t.Errorf("the append that was rolled back is answered with %+v", receipt)
	}
	// A savepoint too: what is promised behind it goes with it.
	tx = tm.begin(tm.own)
	tm.promise(tx, one("order-8", daybook.ExpectNone(), "kept"))
	inner, err := tx.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tm.promise(inner, one("order-8", daybook.ExpectVersion(1), "undone"))
	if err := inner.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	tm.promise(tx, one("order-8", daybook.ExpectVersion(1), "instead"))
	tm.commit(tx)
	tm.wantTypes("placed", "kept", "instead")
}

func TestATransactionBuildsOnItsOwnPromises(t *testing.T) {
	tm := newTeam(t)
	tm.append(daybook.Append{Changesets: []daybook.Changeset{{Stream: daybook.Stream("a-1"), Events: []daybook.Event{{Type: "opened"}}, Claims: []daybook.Claim{{Kind: "k", Value: "v"}}}}})
	tx := tm.begin(tm.own)
	first := one("b-1", daybook.ExpectNone(), "first")
	tm.promise(tx, first)
	second := one("b-1", daybook.ExpectVersion(1), "second")
	second.Changesets[0].References = []daybook.StreamID{daybook.Stream("b-1")}
	tm.promise(tx, second)
	if p := tm.promise(tx, first); !p.Repeated || p.Changesets[0].Last != 1 {
		t.Errorf("the same append again in the transaction is answered with %+v", p)
	}
	var conflict *daybook.ConflictError
	if _, err := tm.driver.AppendTx(t.Context(), tx, one("b-1", daybook.ExpectVersion(1), "late")); !errors.As(err, &conflict) || conflict.Found.Version != 2 {
		t.Errorf("a conflict with what the transaction has promised: %v", err)
	}
	// A claim changes hands in it.
	taken := one("b-1", daybook.ExpectAny(), "taken")
	taken.Changesets[0].Claims = []daybook.Claim{{Kind: "k", Value: "v"}}
	var claim *daybook.ClaimError
	if _, err := tm.driver.AppendTx(t.Context(), tx, taken); !errors.As(err, &claim) || claim.Holder.Name != "a-1" {
		t.Errorf("a claim of another stream: %v", err)
	}
	released := one("a-1", daybook.ExpectAny(), "released")
	released.Changesets[0].Releases = taken.Changesets[0].Claims
	tm.promise(tx, released)
	tm.promise(tx, taken)
	if _, err := tm.driver.AppendTx(t.Context(), tx, released); err != nil {
		t.Errorf("a repeat: %v", err)
	}
	released.ID = daybook.NewID()
	if _, err := tm.driver.AppendTx(t.Context(), tx, released); !errors.As(err, &claim) || claim.Holder.Name != "b-1" {
		t.Errorf("a claim that the transaction has given to another stream: %v", err)
	}
	tm.commit(tx)
	tm.wantTypes("opened", "first", "second", "released", "taken")
	if holder, _, err := tm.store.ClaimHolder(t.Context(), "", daybook.Claim{Kind: "k", Value: "v"}); err != nil || holder.Name != "b-1" {
		t.Errorf("the claim is held by %v %v", holder, err)
	}
}

func TestWhatATransactionCannotDoIsRefusedAndItGoesOn(t *testing.T) {
	tm := newTeam(t)
	tm.append(one("order-1", daybook.ExpectAny(), "placed"))
	tx := tm.begin(tm.own)
	withReference := one("order-2", daybook.ExpectAny(), "x")
	withReference.Changesets[0].References = []daybook.StreamID{daybook.Stream("nobody")}
	withCondition := one("order-2", daybook.ExpectAny(), "x")
	withCondition.Condition = &daybook.Condition{}
	for name, refused := range map[string]struct {
		a    daybook.Append
		want error
	}{
		"conflict":  {one("order-1", daybook.ExpectNone(), "x"), daybook.ErrConflict},
		"reference": {withReference, daybook.ErrConflict},
		"condition": {withCondition, daybook.ErrUnsupported},
		"invalid":   {one("", daybook.ExpectNone(), "x"), daybook.ErrInvalid},
	} {
		if _, err := tm.driver.AppendTx(t.Context(), tx, refused.a); !errors.Is(err, refused.want) {
			t.Errorf("%s: %v, want %v", name, err, refused.want)
		}
	}
	var conflict *daybook.ConflictError
	if _, err := tm.driver.AppendTx(t.Context(), tx, one("order-1", daybook.ExpectNone(), "x")); !errors.As(err, &conflict) || len(conflict.Missed) != 1 {
		t.Errorf("a conflict does not say what was missed: %v", err)
	}
	tm.promise(tx, one("order-1", daybook.ExpectVersion(1), "paid"))
	tm.commit(tx)
	tm.wantTypes("placed", "paid")
	for _, options := range []pgx.TxOptions{{IsoLevel: pgx.RepeatableRead}, {IsoLevel: pgx.Serializable}, {AccessMode: pgx.ReadOnly}} {
		tx, err := tm.own.BeginTx(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tm.driver.AppendTx(t.Context(), tx, one("order-1", daybook.ExpectAny(), "x")); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("a transaction with %+v: %v", options, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
