package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// A repeat by the quick way finds out that it is one from the rows of the first,
// which are being removed.
func TestARepeatWhileItsRowsAreRemovedIsNotStoredAgain(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	connection, remover := connect(t, address), connect(t, address)
	first := oneEvent("account-1", "opened", daybook.ExpectAny())
	receipt, err := store.AppendAll(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	// The rows are removed by a transaction that stays open; the deletion itself
	// is finished.
	schema := postgres.Schema(d)
	execute(t, connection, "SELECT * FROM "+schema+".delete_stream(NULL, gen_random_uuid(), '', 'account-1', 0::smallint, 0, 0, false, '', '')")
	execute(t, remover, "BEGIN")
	execute(t, remover, "SELECT "+schema+".remove_hidden('', 'account-1', 100)")
	for range 2 { // the second one is worked out from the first
		if _, err := store.AppendAll(t.Context(), oneEvent("account-1", "opened", daybook.ExpectAny())); err != nil {
			t.Fatal(err)
		}
	}
	done := inBackground(t, store, first)
	eventually(t, "the repeat is answered, or waits for the rows to be gone", func() bool {
		return len(done) == 1 || waiting(t, connection, postgres.Schema(d)+".append") == 1
	})
	execute(t, remover, "COMMIT")
	o := <-done
	receipt.Repeated = true
	if o.err != nil || !o.receipt.Repeated || o.receipt.Position() != receipt.Position() {
		t.Errorf("the repeat is answered with %+v (%v), want %+v", o.receipt, o.err, receipt)
	}
	if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); len(got) != 2 {
		t.Errorf("the log has %d records, want 2", len(got))
	}
}

// A read fetches what changesets have besides events after their records: those
// that are removed between the two are left out, and the read goes on.
func TestReadsGoOnBehindWhatIsDeletedMeanwhile(t *testing.T) {
	const streams = 300 // more than the first page
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	for n := range streams {
		a := oneEvent(fmt.Sprintf("account-%d", n), "opened", daybook.ExpectNone())
		a.Changesets[0].Metadata = []byte("metadata")
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	schema := postgres.Schema(d)
	deleter, console := connect(t, address), connect(t, address)
	execute(t, deleter, "BEGIN ISOLATION LEVEL READ COMMITTED")
	execute(t, deleter, "LOCK TABLE "+schema+".changesets IN ACCESS EXCLUSIVE MODE")
	type result struct {
		read []daybook.Record
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
			if err != nil {
				r.err = err
				break
			}
			r.read = append(r.read, record)
		}
		done <- r
	}()
	eventually(t, "the read wants the changesets of its first page", func() bool { return waiting(t, console, schema+".changesets c WHERE") == 1 })
	for n := range 10 {
		name := fmt.Sprintf("account-%d", n)
		execute(t, deleter, "SELECT * FROM "+schema+".delete_stream(NULL, gen_random_uuid(), '', $1, 0::smallint, 0, 0, false, '', '')", name)
		execute(t, deleter, "SELECT "+schema+".remove_hidden('', $1, 100)", name)
	}
	execute(t, deleter, "COMMIT")
	r := <-done
	if r.err != nil || len(r.read) != streams-10 {
		t.Errorf("the read gave %d records (%v), want %d", len(r.read), r.err, streams-10)
	}
}

// What was sent may be stored, so that giving up is no refusal.
func TestGivingUpInTheMiddleIsNoRefusal(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	console := connect(t, address)
	end := holdTurn(t, d, address)
	// The first one is sent alone, those behind it wait for their batch.
	for n, want := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := store.AppendAll(ctx, oneEvent(fmt.Sprintf("account-%d", n), "opened", daybook.ExpectNone()))
			done <- err
		}()
		if n == 0 {
			eventually(t, "the append is in the server", func() bool { return waiting(t, console, postgres.Schema(d)+".append") == 1 })
		}
		cancel()
		err := <-done
		if !errors.Is(err, context.Canceled) || errors.Is(err, daybook.ErrRefused) && !want {
			t.Errorf("append %d, given up, says %v", n, err)
		}
	}
	end()
	if _, err := store.AppendAll(t.Context(), oneEvent("account-3", "opened", daybook.ExpectNone())); err != nil {
		t.Error(err)
	}
}

// The bytes of an append belong to its caller again as soon as he is answered,
// also where it is sent again later.
func TestWhatIsStoredIsWhatWasGivenWhereItsCallerGivesUp(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	console := connect(t, address)
	end := holdTurn(t, d, address)
	head := inBackground(t, store, oneEvent("account-1", "opened", daybook.ExpectNone()))
	eventually(t, "the first append is in the server", func() bool { return waiting(t, console, postgres.Schema(d)+".append") == 1 })
	// Whoever asks for the turn next gets it next.
	next := make(chan func(), 1)
	go func() { next <- holdTurn(t, d, address) }()
	eventually(t, "another asks for the turn behind it", func() bool { return waiting(t, console, postgres.Schema(d)+".take_turn") == 1 })
	tail := oneEvent("account-2", "opened", daybook.ExpectNone())
	data := []byte{0xff, 'a', 'b', 'c'}
	tail.Changesets[0].Events[0].ContentType, tail.Changesets[0].Events[0].Data = "text/plain", data
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := store.AppendAll(ctx, tail)
		done <- err
	}()
	end()
	if o := <-head; o.err != nil {
		t.Fatal(o.err)
	}
	end = <-next
	eventually(t, "the second append is in the server", func() bool { return waiting(t, console, postgres.Schema(d)+".append") == 1 })
	cancel()
	if err := <-done; err == nil || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("an append that was given up in the middle says %v", err)
	}
	copy(data, "xxxx")
	execute(t, console, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0", postgres.Schema(d)+".append")
	end()
	eventually(t, "the append is stored", func() bool {
		return len(records(t, store.ReadLog(t.Context(), daybook.LogRead{}))) == 2
	})
	for _, record := range records(t, store.ReadStream(t.Context(), daybook.Stream("account-2"), daybook.StreamRead{})) {
		if string(record.Data) != "\xffabc" {
			t.Errorf("stored is %q, given was %q", record.Data, "\xffabc")
		}
	}
}

// A lost connection leaves open whether the append was stored; that the server
// then refuses this user says nothing about it.
func TestARefusalAfterALostConnectionIsNoRefusal(t *testing.T) {
	address := freshSchema(t)
	console := connect(t, address)
	role := "role_" + daybook.NewID().String()[:8]
	owner := open(t, address, nil)
	execute(t, console, "CREATE ROLE "+role+" LOGIN SUPERUSER")
	t.Cleanup(func() { dropRole(t, role) })
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.User(role)
	d := open(t, parsed.String(), nil)
	end := holdTurn(t, owner, address)
	a := oneEvent("account-1", "opened", daybook.ExpectNone())
	done := inBackground(t, daybook.New(d, nil), a)
	eventually(t, "the append is in the server", func() bool { return waiting(t, console, postgres.Schema(d)+".append") == 1 })
	execute(t, console, "ALTER ROLE "+role+" NOLOGIN")
	execute(t, console, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
	if o := <-done; o.err == nil || errors.Is(o.err, daybook.ErrRefused) {
		t.Errorf("the append says %v, want that its outcome is unknown", o.err)
	}
	end()
	execute(t, console, "ALTER ROLE "+role+" LOGIN")
	if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
		t.Errorf("sent again, it says %v", err)
	}
}

// dropRole drops a role that owns nothing.
func dropRole(t *testing.T, role string) {
	connection, err := pgx.Connect(context.Background(), os.Getenv(urlVariable))
	if err != nil {
		t.Error(err)
		return
	}
	defer connection.Close(context.Background())
	if _, err := connection.Exec(context.Background(), "DROP ROLE "+role); err != nil {
		t.Error(err)
	}
}

func TestAHotStreamTakesAppendsOfManyAtOnce(t *testing.T) {
	const writers, appends = 100, 10
	address := freshSchema(t)
	stores := []*daybook.Store{daybook.New(open(t, address, nil), nil), daybook.New(open(t, address, nil), nil)}
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for range appends {
				if _, err := stores[w%2].AppendAll(t.Context(), oneEvent("counter-1", "counted", daybook.ExpectAny())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	all := records(t, stores[0].ReadStream(t.Context(), daybook.Stream("counter-1"), daybook.StreamRead{}))
	if len(all) != writers*appends {
		t.Fatalf("the stream has %d records, want %d", len(all), writers*appends)
	}
	for i, record := range all {
		if record.Version != daybook.Version(i+1) || record.Position != daybook.Position(i+1) || i > 0 && record.RecordedAt.Before(all[i-1].RecordedAt) {
			t.Fatalf("record %d has version %d, position %d, time %s", i, record.Version, record.Position, record.RecordedAt)
		}
	}
}

func TestClosingLetsAppendsEndAndRefusesTheRest(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	stored := make([][]daybook.ID, 8)
	var running sync.WaitGroup
	begun := make(chan struct{}, len(stored))
	for w := range stored {
		running.Go(func() {
			for n := 0; ; n++ {
				a := oneEvent(fmt.Sprintf("account-%d", w), "deposited", daybook.ExpectVersion(daybook.Version(n)))
				if _, err := store.AppendAll(t.Context(), a); err != nil {
					if !errors.Is(err, daybook.ErrClosed) {
						t.Errorf("an append beside Close says %v", err)
					}
					return
				}
				if stored[w] = append(stored[w], a.ID); n == 3 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range stored {
		<-begun
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	want := 0
	for _, ids := range stored {
		want += len(ids)
	}
	again := daybook.New(open(t, address, nil), nil)
	if got := records(t, again.ReadLog(t.Context(), daybook.LogRead{})); len(got) != want {
		t.Errorf("the log has %d records, %d were acknowledged and the rest refused", len(got), want)
	}
}
