package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// followed is a reader that follows the log, and says what it finds wrong.
type followed struct {
	seen chan daybook.Record
	err  chan error
}

// follow follows the log from its beginning: every position, one after the
// other.
func follow(ctx context.Context, store *daybook.Store) *followed {
	f := &followed{seen: make(chan daybook.Record, 10_000), err: make(chan error, 1)}
	go func() {
		var last daybook.Position
		for record, err := range store.Follow(ctx, daybook.LogRead{}) {
			if err == nil && record.Position != last+1 {
				err = fmt.Errorf("behind position %d comes %d", last, record.Position)
			}
			if err != nil {
				f.err <- err
				return
			}
			last = record.Position
			f.seen <- record
		}
	}()
	return f
}

// next returns the next record that the follower sees.
func (f *followed) next(t *testing.T) daybook.Record {
	t.Helper()
	select {
	case record := <-f.seen:
		return record
	case err := <-f.err:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the follower has seen nothing for a minute")
	}
	return daybook.Record{}
}

// slow makes appends of events of the type "slow" wait in the middle, inside
// the server, while somebody holds a lock; it returns how to hold it, and how
// to let them go on.
func slow(t *testing.T, d *postgres.Driver, connection *pgx.Conn) (hold, release func()) {
	t.Helper()
	schema := postgres.Schema(d)
	execute(t, connection, `CREATE FUNCTION `+schema+`.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_advisory_xact_lock_shared('`+schema+`.store'::regclass::oid::bigint); RETURN NEW; END $$`)
	execute(t, connection, `CREATE TRIGGER dawdle BEFORE INSERT ON `+schema+`.events FOR EACH ROW WHEN (NEW.type = 'slow') EXECUTE FUNCTION `+schema+`.dawdle()`)
	lock := func(word string) func() {
		return func() { execute(t, connection, "SELECT "+word+"('"+schema+".store'::regclass::oid::bigint)") }
	}
	return lock("pg_advisory_lock"), lock("pg_advisory_unlock")
}

func TestTransactionsThatStayOpenHideNothingAndHoldUpNobody(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	other := connect(t, address)
	execute(t, other, "CREATE TABLE "+postgres.Schema(d)+".orders (n int)")
	// An old transaction id, and an old snapshot.
	execute(t, other, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	execute(t, other, "INSERT INTO "+postgres.Schema(d)+".orders VALUES (1)")
	idle := connect(t, address)
	execute(t, idle, "BEGIN")
	execute(t, idle, "SELECT count(*) FROM "+postgres.Schema(d)+".events")
	f := follow(t.Context(), store)
	for n := range daybook.Position(20) {
		receipt, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(n)), daybook.Event{Type: "deposited"})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.next(t); got.Position != receipt.Position() {
			t.Fatalf("the follower sees position %d, want %d", got.Position, receipt.Position())
		}
	}
	execute(t, other, "COMMIT")
	execute(t, idle, "COMMIT")
	if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); len(got) != 20 {
		t.Errorf("the log has %d records, want 20", len(got))
	}
}

// outcome is what an append was answered.
type outcome struct {
	receipt daybook.Receipt
	err     error
}

// inBackground appends, and gives the outcome when there is one.
func inBackground(t *testing.T, store *daybook.Store, a daybook.Append) <-chan outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		receipt, err := store.AppendAll(t.Context(), a)
		done <- outcome{receipt, err}
	}()
	return done
}

// oneEvent returns an append of one event.
func oneEvent(stream, kind string, expect daybook.Expect) daybook.Append {
	return daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{
		{Stream: daybook.Stream(stream), Expect: expect, Events: []daybook.Event{{Type: kind}}},
	}}
}

func TestASlowAppendIsNotOvertaken(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(map[bool]string{false: "and ends", true: "and its session is killed"}[kill], func(t *testing.T) {
			address := freshSchema(t)
			first, second := open(t, address, nil), open(t, address, nil)
			connection := connect(t, address)
			hold, release := slow(t, first, connection)
			one, two := daybook.New(first, nil), daybook.New(second, nil)
			if _, err := one.AppendAll(t.Context(), oneEvent("account-1", "opened", daybook.ExpectNone())); err != nil {
				t.Fatal(err)
			}
			f := follow(t.Context(), two)
			f.next(t)
			hold()
			dawdling := oneEvent("account-1", "slow", daybook.ExpectVersion(1))
			slowly := inBackground(t, one, dawdling)
			eventually(t, "the slow append is in the middle", func() bool { return waiting(t, connection, postgres.Schema(first)+".append") == 1 })
			var others []<-chan outcome
			for n := range 4 {
				others = append(others, inBackground(t, two, oneEvent(fmt.Sprintf("account-%d", 2+n), "opened", daybook.ExpectNone())))
			}
			eventually(t, "another append waits for its turn", func() bool { return waiting(t, connection, postgres.Schema(first)+".append") == 2 })
			if got := records(t, two.ReadLog(t.Context(), daybook.LogRead{})); len(got) != 1 {
				t.Errorf("while an append is in the middle the log has %d records, want 1", len(got))
			}
			if kill {
				killed := scan[bool](t, connection, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0 ORDER BY query_start LIMIT 1`, postgres.Schema(first)+".append")
				if !killed {
					t.Fatal("no session was killed")
				}
				eventually(t, "who waited goes on", func() bool {
					return len(records(t, two.ReadLog(t.Context(), daybook.LogRead{}))) > 1
				})
			}
			release()
			for _, done := range others {
				if o := <-done; o.err != nil {
					t.Error(o.err)
				}
			}
			o := <-slowly
			if o.err != nil {
				t.Fatalf("the slow append: %v", o.err)
			}
			repeated, err := two.AppendAll(t.Context(), dawdling)
			if err != nil || !repeated.Repeated || repeated.Position() != o.receipt.Position() {
				t.Errorf("repeated, the slow append is answered with %+v (%v), want %+v", repeated, err, o.receipt)
			}
			for range 5 {
				f.next(t)
			}
			if got := records(t, two.ReadLog(t.Context(), daybook.LogRead{})); len(got) != 6 {
				t.Errorf("the log has %d records, want 6", len(got))
			}
		})
	}
}

// Someone at a console may call the functions by hand, and leave.
func TestAnIdleSessionThatHoldsTheTurnCanBeKilled(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	idle, console := connect(t, address), connect(t, address)
	execute(t, idle, "BEGIN ISOLATION LEVEL READ COMMITTED")
	execute(t, idle, "SELECT "+postgres.Schema(d)+".take_turn(NULL)")
	done := inBackground(t, store, oneEvent("account-1", "opened", daybook.ExpectNone()))
	eventually(t, "the append waits for its turn", func() bool { return waiting(t, console, postgres.Schema(d)+".append") == 1 })
	if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); len(got) != 0 {
		t.Errorf("the log has %d records, want none", len(got))
	}
	execute(t, console, "SELECT pg_terminate_backend($1)", int32(idle.PgConn().PID()))
	if o := <-done; o.err != nil || o.receipt.Position() != 1 {
		t.Errorf("the append that waited is answered with %+v (%v), want position 1", o.receipt, o.err)
	}
}
