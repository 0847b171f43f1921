package azuretable_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azuretable"
	"github.com/daybook-go/daybook/verify"
)

// once lets a trouble happen to the first requests of a kind.
func once(what string, times int32, happens trouble) func(*http.Request, []byte) trouble {
	var left atomic.Int32
	left.Store(times)
	return func(r *http.Request, body []byte) trouble {
		if kind(r, body) == what && left.Add(-1) >= 0 {
			return happens
		}
		return trouble{}
	}
}

// settled waits until all that was appended is settled: beside the appends.
func settled(t testing.TB, table string) {
	t.Helper()
	filter := "PartitionKey eq '!!pages' and RowKey ge 'p' and RowKey lt 'q'"
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		open := 0
		pager := tableOf(t, table).NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter})
		for pager.More() {
			page, err := pager.NextPage(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, encoded := range page.Entities {
				var row struct {
					RowKey string
					Done   bool
				}
				if err := json.Unmarshal(encoded, &row); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(row.RowKey, "_00") && !row.Done {
					open++
				}
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("after a minute %d pages are not settled", open)
		}
	}
}

func event(kind string) daybook.Event { return daybook.Event{Type: kind, Data: []byte(`{"n":1}`)} }

// sound checks that a store keeps every rule, and has so many records.
func sound(t *testing.T, store *daybook.Store, want int) {
	t.Helper()
	if got := len(records(t, store.ReadLog(t.Context(), daybook.LogRead{}))); got != want {
		t.Errorf("the log has %d records, want %d", got, want)
	}
	report, err := verify.Store(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("verify: %v", finding)
	}
}

func TestATroubledServiceLosesNothingAndDoublesNothing(t *testing.T) {
	p := newProxy(t)
	for name, happens := range map[string]trouble{
		"500": {status: 500, code: "InternalError"}, "503": {status: 503, code: "ServerBusy"}, "429": {status: 429, code: "TooManyRequests"},
		"cut after it was applied": {cut: true}, "lost before": {lost: true},
	} {
		for _, what := range []string{"create page", "look up id", "look up head", "read pages", "settle", "mark settled"} {
			t.Run(name+" to "+what, func(t *testing.T) {
				d := open(t, urlOf(p.endpoint(), freshTable(t)), nil)
				store := daybook.New(d, nil)
				p.troubled(once(what, 2, happens))
				defer p.troubled(nil)
				for i := range 3 {
					receipt, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(i)), event("paid"))
					if err != nil {
						t.Fatal(err)
					}
					if receipt.Repeated || receipt.Position() != daybook.Position(i+1) {
						t.Errorf("append %d was answered with %+v", i+1, receipt)
					}
				}
				sound(t, store, 3)
			})
		}
	}
}

func TestAServiceThatStaysAwayLeavesTheOutcomeUnknown(t *testing.T) {
	p := newProxy(t)
	address := urlOf(p.endpoint(), freshTable(t))
	d := open(t, address, &azuretable.Options{Patience: 50 * time.Millisecond})
	store := daybook.New(d, nil)
	a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("account-1"), Events: []daybook.Event{event("paid")}}}}
	for _, happens := range []trouble{{cut: true}, {status: 503, code: "ServerBusy"}} {
		p.troubled(once("create page", 1000, happens))
		_, err := store.AppendAll(t.Context(), a)
		p.troubled(nil)
		var unavailable *azuretable.UnavailableError
		if !errors.As(err, &unavailable) || errors.Is(err, daybook.ErrRefused) {
			t.Errorf("an append that the service never answered was answered with %v, want an *UnavailableError that is no refusal", err)
		}
		if receipt, err := store.AppendAll(t.Context(), a); err != nil || receipt.Repeated != happens.cut {
			t.Errorf("sent again: %+v, %v; want a repeat: %t", receipt, err, happens.cut)
		}
		a.ID = daybook.NewID()
	}
	sound(t, store, 2)
}

func TestASignatureThatExpiresRefusesAndStoresNothing(t *testing.T) {
	table := freshTable(t)
	endpoint := emulator(t)
	store := daybook.New(open(t, urlOf(endpoint, table), nil), nil)
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event("opened")); err != nil {
		t.Fatal(err)
	}
	credential, err := aztables.NewSharedKeyCredential(account, accountKey)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(permissions string, until time.Time) string {
		values := aztables.SASSignatureValues{
			Protocol: aztables.SASProtocolHTTPSandHTTP, StartTime: time.Now().Add(-2 * time.Hour), ExpiryTime: until, Permissions: permissions, TableName: table,
		}
		query, err := values.Sign(credential)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("azuretable:AccountName=%s;SharedAccessSignature=%s;TableEndpoint=%s;Table=%s", account, query, endpoint, table)
	}
	_, err = azuretable.Open(t.Context(), signed("raud", time.Now().Add(-time.Hour)), nil)
	var refused *azuretable.RefusedError
	if !errors.As(err, &refused) || !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("an expired signature was answered with %v, want a *RefusedError", err)
	} else if strings.Contains(err.Error(), "sig=") {
		t.Errorf("the error holds the signature: %v", err)
	}
	reader := daybook.New(open(t, signed("r", time.Now().Add(time.Hour)), nil), nil)
	if n := len(records(t, reader.ReadLog(t.Context(), daybook.LogRead{}))); n != 1 {
		t.Errorf("with a signature for reading %d records were read, want 1", n)
	}
	if _, err = reader.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event("paid")); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("an append with a signature for reading was answered with %v, want a refusal", err)
	}
	// The emulator takes no batch with the signature of a table, which the service
	// does: so this is one of the account.
	values := aztables.AccountSASSignatureValues{
		Protocol: aztables.SASProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour), Permissions: "rau", ResourceTypes: "co", Services: "t",
	}
	query, err := values.Sign(credential)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("azuretable:AccountName=%s;SharedAccessSignature=%s;TableEndpoint=%s;Table=%s", account, query.Encode(), endpoint, table)
	writer := daybook.New(open(t, address, nil), nil)
	if _, err = writer.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(1), event("paid")); err != nil {
		t.Errorf("an append with a signature for reading, adding and updating: %v", err)
	}
	sound(t, store, 2)
}

func TestASlowServiceAnswersOnceHoweverOftenItIsAsked(t *testing.T) {
	p := newProxy(t)
	address := urlOf(p.endpoint(), freshTable(t))
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	d := open(t, address, &azuretable.Options{Timeout: 100 * time.Millisecond, Client: client, Patience: time.Minute})
	release := make(chan struct{})
	p.troubled(once("create page", 1, trouble{after: func() { <-release }}))
	receipt, err := daybook.New(d, nil).Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), event("opened"))
	close(release)
	if err != nil || receipt.Position() != 1 {
		t.Errorf("an append whose first answer is slow was answered with %+v, %v", receipt, err)
	}
	sound(t, daybook.New(d, nil), 1)
}

func TestRequestsAreFewForAppendsAndReads(t *testing.T) {
	p := newProxy(t)
	table := freshTable(t)
	address := urlOf(p.endpoint(), table)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	total := func(what string, most int) {
		t.Helper()
		counts, sum := p.take(), 0
		for _, n := range counts {
			sum += n
		}
		t.Logf("%-50s %d requests: %v", what, sum, counts)
		if most > 0 && sum > most {
			t.Errorf("%s took %d requests, want at most %d", what, sum, most)
		}
	}
	total("open", 2+1)
	one := func() {
		t.Helper()
		if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event("paid")); err != nil {
			t.Fatal(err)
		}
	}
	one()
	settled(t, table)
	total("the first append, settled", 12)
	one()
	settled(t, table)
	total("an append, settled", 6)
	var group errgroup.Group
	for w := range 100 {
		group.Go(func() error {
			_, err := store.Append(t.Context(), daybook.Stream(fmt.Sprintf("account-%d", w)), daybook.ExpectAny(), event("paid"))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	settled(t, table)
	total("100 appends at once to 100 streams, settled", 0)
	many := make([]daybook.Event, 500)
	for i := range many {
		many[i] = daybook.Event{Type: "paid", Data: bytes.Repeat([]byte("x"), 250)}
	}
	for range 2 {
		if _, err := store.Append(t.Context(), daybook.Stream("large-1"), daybook.ExpectAny(), many...); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, table)
	total("2 appends of 500 events of 250 bytes, settled", 30)
	fresh := daybook.New(open(t, address, nil), nil)
	p.take()
	if n := len(records(t, fresh.ReadLog(t.Context(), daybook.LogRead{}))); n != 1102 {
		t.Errorf("the log has %d records", n)
	}
	total("the first read of a log of 1,102 records", 5)
	if n := len(records(t, fresh.ReadStream(t.Context(), daybook.Stream("large-1"), daybook.StreamRead{}))); n != 1000 {
		t.Errorf("the stream has %d records", n)
	}
	total("a stream of 1,000 records", 3)
	if _, err := fresh.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	total("the end of the log", 1)
}
