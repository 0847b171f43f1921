package azureblob_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/verify"
)

// patient are options for tests of what passes.
func patient() *azureblob.Options {
	return &azureblob.Options{Poll: often, Patience: 20 * time.Second, Timeout: 10 * time.Second}
}

func event(n int) daybook.Event {
	return daybook.Event{Type: "counted", Data: fmt.Appendf(nil, `{"n":%d}`, n), Tags: []string{"n:" + fmt.Sprint(n)}}
}

// once is a cue for the first request of a kind.
func once(wanted string, f fault) func(string, int) fault {
	return func(kind string, n int) fault {
		if kind == wanted && n == 1 {
			return f
		}
		return fault{}
	}
}

func TestWhatFailsForTheMomentIsStoredOnce(t *testing.T) {
	service := serviceURL(t)
	for name, cue := range map[string]func(string, int) fault{
		"500":                              once("append", fault{status: 500, code: "InternalError"}),
		"503":                              once("append", fault{status: 503, code: "ServerBusy"}),
		"429":                              once("append", fault{status: 429, code: "TooManyRequests", wait: "0"}),
		"a lost request":                   once("append", fault{lost: true}),
		"a lost answer":                    once("append", fault{cut: true}),
		"a slow answer":                    once("append", fault{delay: 50 * time.Millisecond}),
		"a read that fails":                once("read", fault{status: 500, code: "InternalError"}),
		"a read whose answer breaks off":   once("read", fault{half: true}),
		"a read whose answer is lost":      once("read", fault{cut: true}),
		"a blob that is made and not told": once("create", fault{cut: true}),
		"a lost answer, and failed reading": func(kind string, n int) fault {
			return fault{cut: kind == "append" && n == 1, lost: kind == "read" && n == 1}
		},
		"three lost answers": func(kind string, n int) fault { return fault{cut: kind == "append" && n < 4} },
	} {
		t.Run(name, func(t *testing.T) {
			p := proxyTo(t, newGate(service, 0))
			address := addressAt(p.url, freshContainer())
			store := daybook.New(open(t, address, patient()), nil)
			p.onCue(cue)
			for i := range 4 {
				receipt, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(i)), event(i))
				if err != nil || receipt.Repeated {
					t.Fatalf("append %d is answered with %+v, %v", i, receipt, err)
				}
			}
			p.onCue(nil)
			holds(t, store, 4)
			holds(t, daybook.New(open(t, address, patient()), nil), 4)
		})
	}
}

// holds checks that a store is sound and has so many records of one stream,
// counted by their data.
func holds(t *testing.T, store *daybook.Store, n int) {
	t.Helper()
	log := records(t, store.ReadLog(t.Context(), daybook.LogRead{}))
	for i, r := range log {
		if want := fmt.Sprintf(`{"n":%d}`, i); string(r.Data) != want {
			t.Errorf("record %d is %s, want %s", i, r.Data, want)
		}
	}
	if len(log) != n {
		t.Errorf("the log has %d records, want %d", len(log), n)
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("what was found: %v (%v)", report.Findings, err)
	}
}

func TestAnAppendThatIsNeverAnsweredMayBeRepeated(t *testing.T) {
	service := serviceURL(t)
	for name, f := range map[string]fault{"stored": {cut: true}, "not stored": {lost: true}} {
		t.Run(name, func(t *testing.T) {
			p := proxyTo(t, newGate(service, 0))
			impatient := &azureblob.Options{Patience: 50 * time.Millisecond}
			store := daybook.New(open(t, addressAt(p.url, freshContainer()), impatient), nil)
			if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event(0)); err != nil {
				t.Fatal(err)
			}
			p.onCue(func(kind string, n int) fault {
				if kind == "append" && n == 1 {
					return f
				}
				return fault{lost: true}
			})
			a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("account-1"), Expect: daybook.ExpectVersion(1), Events: []daybook.Event{event(1)}}}}
			_, err := store.AppendAll(t.Context(), a)
			var unavailable *azureblob.UnavailableError
			if err == nil || errors.Is(err, daybook.ErrRefused) || !errors.As(err, &unavailable) {
				t.Fatalf("it is answered with %v, want an unknown outcome", err)
			}
			p.onCue(nil)
			receipt, err := store.AppendAll(t.Context(), a)
			if err != nil || receipt.Repeated != (name == "stored") || receipt.Changesets[0].Last != 2 {
				t.Errorf("the repeat is answered with %+v, %v", receipt, err)
			}
			holds(t, store, 2)
		})
	}
}

func TestAStalledAppendCannotComeBehindAnother(t *testing.T) {
	g := newGate(serviceURL(t), 0)
	slow, quick := proxyTo(t, g), proxyTo(t, g)
	container := freshContainer()
	late := daybook.New(open(t, addressAt(slow.url, container), patient()), nil)
	other := daybook.New(open(t, addressAt(quick.url, container), patient()), nil)
	if _, err := other.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event(0)); err != nil {
		t.Fatal(err)
	}
	slow.onCue(once("append", fault{before: func() {
		if _, err := other.Append(context.Background(), daybook.Stream("account-1"), daybook.ExpectVersion(1), event(1)); err != nil {
			t.Error(err)
		}
	}}))
	if _, err := late.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := late.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(1), event(9))
	var conflict *daybook.ConflictError
	if !errors.As(err, &conflict) || conflict.Found.Version != 2 || len(conflict.Missed) != 1 {
		t.Errorf("the late append is answered with %v", err)
	}
	holds(t, late, 2)
}

func TestTypedErrorsLeaveNothing(t *testing.T) {
	p := proxyTo(t, newGate(serviceURL(t), 0))
	container := freshContainer()
	store := daybook.New(open(t, addressAt(p.url, container), patient()), nil)
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event(0)); err != nil {
		t.Fatal(err)
	}
	for code, status := range map[string]int{"AuthenticationFailed": 403, "AuthorizationPermissionMismatch": 403, "InvalidHeaderValue": 400, "BlobImmutableDueToPolicy": 409} {
		p.onCue(func(kind string, n int) fault {
			if kind == "append" {
				return fault{status: status, code: code}
			}
			return fault{}
		})
		_, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(9))
		var refused *azureblob.RefusedError
		if !errors.As(err, &refused) || refused.Code != code || !errors.Is(err, daybook.ErrRefused) {
			t.Errorf("%s is answered with %v", code, err)
		}
		if readOnly := code == "AuthorizationPermissionMismatch"; errors.Is(err, daybook.ErrReadOnly) != readOnly {
			t.Errorf("%s matches ErrReadOnly: %v", code, !readOnly)
		}
	}
	p.onCue(nil)
	holds(t, store, 1)
}

func TestARefusalBehindALostAnswerIsNoProof(t *testing.T) {
	p := proxyTo(t, newGate(serviceURL(t), 0))
	store := daybook.New(open(t, addressAt(p.url, freshContainer()), patient()), nil)
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event(0)); err != nil {
		t.Fatal(err)
	}
	p.onCue(func(kind string, n int) fault {
		switch {
		case kind == "append" && n == 1:
			return fault{cut: true}
		case kind != "append":
			return fault{status: 403, code: "AuthenticationFailed"}
		}
		return fault{}
	})
	_, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(1))
	if err == nil || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("it is answered with %v, want an unknown outcome", err)
	}
	p.onCue(nil)
	holds(t, store, 2)
}

func TestRollOverLosesNothing(t *testing.T) {
	const limit, writers, each = 3, 4, 8
	g := newGate(serviceURL(t), limit)
	p := proxyTo(t, g)
	address := addressAt(p.url, freshContainer())
	var waiting sync.WaitGroup
	for w := range writers {
		store := daybook.New(open(t, address, azureblob.WithBlocks(*patient(), limit)), nil)
		waiting.Go(func() {
			for i := range each {
				if _, err := store.Append(context.Background(), daybook.Stream(fmt.Sprint("writer-", w)), daybook.ExpectVersion(daybook.Version(i)), event(i)); err != nil {
					t.Errorf("writer %d, event %d: %v", w, i, err)
					return
				}
			}
		})
	}
	reader := daybook.New(open(t, address, azureblob.WithBlocks(*patient(), limit)), nil)
	waiting.Wait()
	for _, store := range []*daybook.Store{reader, daybook.New(open(t, address, azureblob.WithBlocks(*patient(), limit)), nil)} {
		if log := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); len(log) != writers*each {
			t.Errorf("the log has %d records, want %d", len(log), writers*each)
		}
		if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
			t.Errorf("what was found: %v (%v)", report.Findings, err)
		}
	}
	if blobs := len(g.blocks); blobs < writers*each/limit/writers {
		t.Errorf("there are %d blobs", blobs)
	}
}

func TestASingleBlobIsFullInTheEnd(t *testing.T) {
	p := proxyTo(t, newGate(serviceURL(t), 2))
	options := azureblob.WithBlocks(*patient(), 2)
	options.Blob = "mono"
	store := daybook.New(open(t, addressAt(p.url, freshContainer()), options), nil)
	for i := range 2 {
		if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(2)); !errors.Is(err, daybook.ErrFull) {
		t.Errorf("behind the last block an append is answered with %v", err)
	}
	holds(t, store, 2)
}

func TestRequestsAreAsFewAsCanBe(t *testing.T) {
	p := proxyTo(t, newGate(serviceURL(t), 0))
	address := addressAt(p.url, freshContainer())
	driver := open(t, address, patient())
	store := daybook.New(driver, nil)
	stream := daybook.Stream("account-1")
	if _, err := store.Append(t.Context(), stream, daybook.ExpectNone(), event(0)); err != nil {
		t.Fatal(err)
	}
	check := func(what string, want map[string]int, do func() error) {
		t.Helper()
		p.onCue(nil)
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := p.counted()
		t.Logf("%-40s %v", what, got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s costs %v, want %v", what, got, want)
		}
	}
	check("an append", map[string]int{"append": 1}, func() error {
		_, err := store.Append(t.Context(), stream, daybook.ExpectVersion(1), event(1))
		return err
	})
	check("an append of 1,000 events", map[string]int{"append": 1}, func() error {
		var many []daybook.Event
		for i := range 1000 {
			many = append(many, event(i+2))
		}
		_, err := store.Append(t.Context(), stream, daybook.ExpectVersion(2), many...)
		return err
	})
	check("a refused append", map[string]int{"read": 1}, func() error {
		// The store would read besides what was missed.
		_, err := driver.Append(t.Context(), daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: stream, Expect: daybook.ExpectVersion(7)}}})
		if !errors.Is(err, daybook.ErrConflict) {
			return fmt.Errorf("it is answered with %w", err)
		}
		return nil
	})
	check("reading 1,000 records, by the writer", map[string]int{"read": 1}, func() error {
		records(t, store.ReadStream(t.Context(), stream, daybook.StreamRead{Limit: 1000}))
		return nil
	})
	check("opening, by another", map[string]int{"list": 1, "read": 1}, func() error {
		open(t, address, patient())
		return nil
	})
}

func TestAnExpiredSignatureIsTold(t *testing.T) {
	service := serviceURL(t)
	container := freshContainer()
	store := daybook.New(open(t, addressAt(service, container), patient()), nil)
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event(0)); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(service, "http://")
	expired := "azureblob://" + host + "/" + container + "?" + signature(t, container, "rl", -time.Hour)
	_, err := azureblob.Open(t.Context(), expired, patient())
	var refused *azureblob.RefusedError
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired signature is answered with %v", err)
	}
	reading := daybook.New(open(t, "azureblob://"+host+"/"+container+"?"+signature(t, container, "rl", time.Hour), patient()), nil)
	holds(t, reading, 1)
	if _, err := reading.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(1)); !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("an append with a signature that only reads is answered with %v", err)
	}
	byString := "azureblob:BlobEndpoint=" + service + ";SharedAccessSignature=" + signature(t, container, "rla", time.Hour) + ";Container=" + container
	adding := daybook.New(open(t, byString, patient()), nil)
	if _, err := adding.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(1), event(1)); err != nil {
		t.Error(err)
	}
	holds(t, reading, 2)
}
