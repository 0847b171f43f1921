package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// filled returns a store with so many appends of two events, to seven streams.
func filled(t *testing.T, appends int) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	for n := range appends {
		_, err := store.Append(t.Context(), daybook.Stream(fmt.Sprintf("account-%d", n%7)), daybook.ExpectAny(),
			daybook.Event{Type: "deposited", Data: fmt.Appendf(nil, `{"amount":%d}`, n)}, daybook.Event{Type: "told"})
		if err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// fromStore is an import of all that a store has now.
func fromStore(t *testing.T, from, to *daybook.Store) *importing {
	t.Helper()
	end, err := from.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &importing{store: to, source: &storeSource{name: "there", store: from, end: end}, bar: &progress{}}
}

// stopping lets a number of imports pass, and interrupts what comes then.
type stopping struct {
	*memory.Driver
	pass      int
	interrupt context.CancelFunc
}

func (s *stopping) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if s.pass--; s.pass < 0 {
		s.interrupt()
		return ctx.Err()
	}
	return s.Driver.Import(ctx, changesets)
}

func TestImportFromAStoreThatIsInterruptedIsGoneOnWith(t *testing.T) {
	from := filled(t, 2000)
	driver := memory.New(nil)
	ctx, interrupt := context.WithCancel(t.Context())
	first := fromStore(t, from, daybook.New(&stopping{driver, 2, interrupt}, nil))
	if err := first.run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if first.stored == 0 || first.stored >= 4000 {
		t.Fatalf("%d records are stored when it is interrupted", first.stored)
	}
	rest := fromStore(t, from, daybook.New(driver, nil))
	if err := rest.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rest.present != first.stored || rest.present+rest.stored != 4000 || *rest.compared != (sides{records: 4000, streams: 7}) {
		t.Errorf("first %d, then %d and %d there already; %+v", first.stored, rest.stored, rest.present, rest.compared)
	}
}

func TestImportFromAStoreThatGrowsMeanwhileIsComparedUpToItsBegin(t *testing.T) {
	from, to := filled(t, 20), daybook.New(memory.New(nil), nil)
	m := fromStore(t, from, to)
	for _, stream := range []string{"account-3", "aaa-new"} {
		if _, err := from.Append(t.Context(), daybook.Stream(stream), daybook.ExpectAny(), daybook.Event{Type: "late"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.run(t.Context()); err != nil || *m.compared != (sides{records: 40, streams: 6}) {
		t.Errorf("%+v, %v", m.compared, err)
	}
}

// bent is a store in memory that reads its log, or lists its streams, otherwise.
type bent struct {
	*memory.Driver
	record func(r daybook.Record) (daybook.Record, bool)
	head   func(h daybook.StreamHead) (daybook.StreamHead, bool)
}

func bend[T any](all iter.Seq2[T, error], how func(T) (T, bool)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item, err := range all {
			if how != nil {
				var keep bool
				if item, keep = how(item); !keep {
					continue
				}
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (b *bent) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return bend(b.Driver.ReadLog(ctx, read), b.record)
}

func (b *bent) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return bend(b.Driver.ListStreams(ctx, list), b.head)
}

func TestComparingTwoStoresFindsWhatOneHasAndTheOtherHasNot(t *testing.T) {
	for _, c := range []struct {
		name       string
		from, to   bent
		complained string
	}{
		{"a record that was lost", bent{}, bent{record: func(r daybook.Record) (daybook.Record, bool) { return r, r.Position != 7 }},
			"there has a record at position 7 that the store has not"},
		{"the last record was lost", bent{}, bent{record: func(r daybook.Record) (daybook.Record, bool) { return r, r.Position < 39 }},
			"there has a record at position 39 that the store has not"},
		{"a record too many", bent{record: func(r daybook.Record) (daybook.Record, bool) { return r, r.Position != 7 && r.Position != 8 }}, bent{},
			"the store has a record at position 7 that there has not"},
		{"another record", bent{}, bent{record: func(r daybook.Record) (daybook.Record, bool) {
			if r.Position == 5 {
				r.Data = []byte(`{"amount":-1}`)
			}
			return r, true
		}}, "the record at position 5 is another one"},
		{"a stream that is not listed", bent{}, bent{head: func(h daybook.StreamHead) (daybook.StreamHead, bool) { return h, h.Stream.Name != "account-3" }},
			`stream "account-3" has versions 1 to 6, changeset 3 in there, the stream is not there in the store`},
		{"a stream too many", bent{head: func(h daybook.StreamHead) (daybook.StreamHead, bool) { return h, h.Stream.Name != "account-3" }}, bent{},
			`the stream is not there in there, stream "account-3"`},
		{"another head", bent{}, bent{head: func(h daybook.StreamHead) (daybook.StreamHead, bool) {
			if h.Stream.Name == "account-3" {
				h.Version++
			}
			return h, true
		}}, `stream "account-3" has versions 1 to 7`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.from.Driver, c.to.Driver = memory.New(nil), memory.New(nil)
			whole := filled(t, 20)
			for _, driver := range []daybook.Driver{c.from.Driver, c.to.Driver} {
				if err := fromStore(t, whole, daybook.New(driver, nil)).run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			source := &storeSource{name: "there", store: daybook.New(&c.from, nil), end: 40}
			_, err := compareStores(t.Context(), source, daybook.New(&c.to, nil), &progress{})
			if err == nil || !strings.Contains(err.Error(), c.complained) || exitOf(err) != exitConflict {
				t.Errorf("%v; want %q", err, c.complained)
			}
		})
	}
}

func TestImportOfAStoreWhoseChangesetIsNotWholeIsRefused(t *testing.T) {
	driver := &bent{Driver: memory.New(nil), record: func(r daybook.Record) (daybook.Record, bool) { return r, r.Position != 12 }}
	if err := fromStore(t, filled(t, 20), daybook.New(driver.Driver, nil)).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	to := daybook.New(memory.New(nil), nil)
	err := fromStore(t, daybook.New(driver, nil), to).run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `changeset 1 of stream "account-5" is not whole`) {
		t.Error(err)
	}
	if end, err := to.End(t.Context()); err != nil || end != 0 {
		t.Errorf("%d, %v", end, err)
	}
}

func TestWhatIsImportedFromIsAFileUnlessItNamesAStore(t *testing.T) {
	for from, want := range map[string]bool{
		"file:data": true, "file:///data": true, "mem:": true, "http://host": true, "https://host": true, "postgres://host/db": true,
		"": false, "log.ndjson": false, "dir/file": false, "c:log": false, "http": false, "postgres": false,
	} {
		if got := isStore(from); got != want {
			t.Errorf("%q: %t", from, got)
		}
	}
	p := &program{stderr: new(bytes.Buffer), getenv: func(string) string { return "mem:" }}
	if err := p.importLog(t.Context(), importFlags{from: "file:nowhere"}); exitOf(err) != exitStore {
		t.Error(err)
	}
}
