package azurefunctions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azurefunctions"
	"github.com/daybook-go/daybook/verify"
)

// The account of the emulator and its key are published with it.
const (
	account = "devstoreaccount1"
	key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// written is an account into which a test writes as the library does, in
// domains of its own.
type written struct {
	t      *testing.T
	tables *aztables.ServiceClient
	blobs  *azblob.Client
	url    string // without a domain
	domain string
}

func emulator(t *testing.T) *written {
	t.Helper()
	tableURL, blobURL := os.Getenv("DAYBOOK_AZURITE_TABLE"), os.Getenv("DAYBOOK_AZURITE_BLOB")
	if tableURL == "" || blobURL == "" {
		t.Skip("NOT TESTED: storage/azurefunctions, since DAYBOOK_AZURITE_TABLE or DAYBOOK_AZURITE_BLOB names no emulator: eval \"$(scripts/services start azurite)\"")
	}
	w := &written{
		t: t, domain: fmt.Sprintf("Retail.Bank%x", rand.Uint32()),
		url: "azuretable-functions:AccountName=" + account + ";AccountKey=" + key + ";TableEndpoint=" + tableURL + ";BlobEndpoint=" + blobURL,
	}
	tableKey, err := aztables.NewSharedKeyCredential(account, key)
	w.must(err)
	w.tables, err = aztables.NewServiceClientWithSharedKey(tableURL, tableKey, nil)
	w.must(err)
	blobKey, err := azblob.NewSharedKeyCredential(account, key)
	w.must(err)
	w.blobs, err = azblob.NewClientWithSharedKeyCredential(blobURL, blobKey, nil)
	w.must(err)
	return w
}

func (w *written) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// table makes a table that is removed when the test ends.
func (w *written) table(name string) *aztables.Client {
	w.t.Helper()
	client := w.tables.NewClient(name)
	_, err := client.CreateTable(w.t.Context(), nil)
	w.must(err)
	w.t.Cleanup(func() { _, _ = client.Delete(context.Background(), nil) })
	return client
}

// row writes a row, as it is on the wire.
func (w *written) row(table *aztables.Client, text string) {
	w.t.Helper()
	_, err := table.AddEntity(w.t.Context(), []byte(strings.ReplaceAll(text, "DOMAIN", w.domain)), nil)
	w.must(err)
}

// blob writes an append blob of as many blocks as there are texts.
func (w *written) blob(container, name string, metadata map[string]string, texts ...string) {
	w.t.Helper()
	_, err := w.blobs.CreateContainer(w.t.Context(), container, nil)
	w.must(err)
	w.t.Cleanup(func() { _, _ = w.blobs.DeleteContainer(context.Background(), container, nil) })
	client := w.blobs.ServiceClient().NewContainerClient(container).NewAppendBlobClient(name)
	told := map[string]*string{}
	for name, value := range metadata {
		told[name] = &value
	}
	_, err = client.Create(w.t.Context(), &appendblob.CreateOptions{Metadata: told})
	w.must(err)
	for _, text := range texts {
		_, err = client.AppendBlock(w.t.Context(), block{strings.NewReader(text)}, nil)
		w.must(err)
	}
}

// open reads what was written in the domain of the test.
func (w *written) open(settings string) *daybook.Store {
	w.t.Helper()
	dir := w.t.TempDir()
	driver, err := azurefunctions.Open(w.t.Context(), w.url+";Domain="+w.domain+settings, &azurefunctions.Options{Dir: dir})
	w.must(err)
	w.t.Cleanup(func() {
		w.must(driver.Close())
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			w.t.Errorf("Close leaves %v, %v", left, err)
		}
	})
	return daybook.New(driver, nil)
}

func records(t *testing.T, store *daybook.Store, read daybook.LogRead) []daybook.Record {
	t.Helper()
	var all []daybook.Record
	for r, err := range store.ReadLog(t.Context(), read) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// A table of type Account in the domain: two entities, whose events were written
// by turns; one that is being deleted; the cards of all; and one whose write was
// refused, so that its numbers have a gap.
func (w *written) accounts() {
	w.t.Helper()
	table := w.table("Account00" + strings.ReplaceAll(w.domain, ".", ""))
	for _, text := range []string{
		`{"PartitionKey":"INDEX-CARD","RowKey":"A-1","DomainName":"DOMAIN","EntityTypeName":"Account","InstanceKey":"A-1"}`,
		`{"PartitionKey":"A-1","RowKey":"0000000000","LastSequence":4,"Context":"","Deleting":false,"DomainName":"DOMAIN","EntityTypeName":"Account","InstanceKey":"A-1"}`,
		`{"PartitionKey":"A-1","RowKey":"0000000001","EventType":"Account Opened","ContextWho":"Ann","ContextSource":"OpenAccount","ContextCommentary":"first","ContextSchema":"v1",` +
			`"CorrelationIdentifier":"corr-1","CausationIdentifier":"cause-1","LoggedOpeningDate":"2023-03-01T12:00:00Z","LoggedOpeningDate@odata.type":"Edm.DateTime","Commentary":"of the event"}`,
		`{"PartitionKey":"INDEX-CARD","RowKey":"B","DomainName":"DOMAIN","EntityTypeName":"Account","InstanceKey":"B"}`,
		`{"PartitionKey":"B","RowKey":"0000000000","LastSequence":1,"DomainName":"DOMAIN","EntityTypeName":"Account","InstanceKey":"B"}`,
		`{"PartitionKey":"B","RowKey":"0000000001","EventType":"Account Opened"}`,
		`{"PartitionKey":"A-1","RowKey":"0000000002","EventType":"Money Deposited","AmountDeposited":12.5,"Count":"9007199254740993","Count@odata.type":"Edm.Int64","Checked":true}`,
		`{"PartitionKey":"A-1","RowKey":"0000000004","EventType":"Money Withdrawn","Amount":3}`,
		`{"PartitionKey":"C","RowKey":"0000000000","LastSequence":1,"Deleting":true,"DomainName":"DOMAIN","EntityTypeName":"Account","InstanceKey":"C"}`,
		`{"PartitionKey":"C","RowKey":"0000000001","EventType":"Account Opened"}`,
		`{"PartitionKey":"D","RowKey":"0000000000","LastSequence":1,"DomainName":"Another","EntityTypeName":"Account","InstanceKey":"D"}`,
		`{"PartitionKey":"D","RowKey":"0000000001","EventType":"Account Opened"}`,
	} {
		w.row(table, text)
	}
}

func TestTableOfTheLibraryIsReadAsStreams(t *testing.T) {
	w := emulator(t)
	w.accounts()
	foreign := w.table("Other00" + strings.ReplaceAll(w.domain, ".", ""))
	w.row(foreign, `{"PartitionKey":"x","RowKey":"1","EventType":"of somebody else"}`)
	store := w.open("")
	log := records(t, store, daybook.LogRead{})
	if len(log) != 4 {
		t.Fatalf("%d records: %+v", len(log), log)
	}
	stream := daybook.StreamID{Partition: w.domain, Name: "Account-A-1"}
	for i, want := range []struct {
		stream, kind, data, metadata string
		version                      daybook.Version
	}{
		{"Account-A-1", "Account Opened", `{"Commentary":"of the event","LoggedOpeningDate":"2023-03-01T12:00:00Z"}`, `{"sequence":1}`, 1},
		{"Account-B", "Account Opened", `{}`, `{"sequence":1}`, 1},
		{"Account-A-1", "Money Deposited", `{"AmountDeposited":12.5,"Checked":true,"Count":9007199254740993}`, `{"sequence":2}`, 2},
		{"Account-A-1", "Money Withdrawn", `{"Amount":3}`, `{"sequence":4}`, 3},
	} {
		r := log[i]
		if r.Stream != (daybook.StreamID{Partition: w.domain, Name: want.stream}) || r.Type != want.kind || !sameJSON(r.Data, want.data) ||
			string(r.Context.Metadata) != want.metadata || r.Version != want.version || r.Position != daybook.Position(i+1) {
			t.Errorf("record %d is %s version %d at %d, %q %s %s, want %+v", i+1, r.Stream, r.Version, r.Position, r.Type, r.Data, r.Context.Metadata, want)
		}
	}
	c := log[0].Context
	if c.Who != "Ann" || c.Source != "OpenAccount" || c.Commentary != "first" || c.Schema != "v1" || c.Correlation != "corr-1" || c.Why == nil || c.Why.ID != "cause-1" {
		t.Errorf("the context is %+v", c)
	}
	if head, err := store.Head(t.Context(), stream); err != nil || head.Version != 3 || head.Position != 4 {
		t.Errorf("the head is %+v, %v", head, err)
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("%v, %v", report.Findings, err)
	}
	again := records(t, w.open(";Only=tables"), daybook.LogRead{})
	for i := range again {
		if again[i].ID != log[i].ID || again[i].Changeset.AppendID != log[i].Changeset.AppendID || !again[i].RecordedAt.Equal(log[i].RecordedAt) {
			t.Errorf("read again, record %d is %+v, it was %+v", i+1, again[i], log[i])
		}
	}
}

func sameJSON(got []byte, want string) bool {
	var a, b any
	decode := func(text string, into *any) error {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		return decoder.Decode(into)
	}
	if decode(string(got), &a) != nil || decode(want, &b) != nil {
		return false
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// loan is an event as the library indents it.
func loan(number int, payload string) string {
	return fmt.Sprintf(`{
  "$type": "EventSourcingOnAzureFunctions.BlobBlockJsonWrappedEvent, EventSourcingOnAzureFunctions",
  "EventTypeName": "Loan Changed",
  "VersionNumber": 2,
  "SequenceNumber": %d,
  "EventInstanceAsJson": %s,
  "Who": "Bob",
  "Source": null,
  "Commentary": "it says }{ too",
  "CorrelationIdentifier": "c",
  "CausationIdentifier": null,
  "SchemaName": "s",
  "WriteTime": "2022-01-01T00:00:0%d.1234567Z"
}`, number, payload, number)
}

func TestAppendBlobOfTheLibraryIsReadAsAStream(t *testing.T) {
	w := emulator(t)
	metadata := map[string]string{
		"DOMAIN": w.domain, "ENTITYTYPENAME": "Loan", "SEQUENCE": "4", "INSTANCEKEY": "L 7", "DATECREATED": "2022-01-01T00:00:00.0000000Z",
	}
	container := strings.ToLower(strings.ReplaceAll(w.domain, ".", "-"))
	w.blob(container, "eventstreams/loan/l-7.events", metadata,
		loan(1, `"{\"text\":\"}{\"}"`), loan(2, `{"Amount": 1.50}`), loan(3, `null`)+loan(4, `"no JSON"`))
	w.accounts()
	store := w.open("")
	log := records(t, store, daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"Loan"}}})
	if len(log) != 4 || log[0].Position != 1 {
		t.Fatalf("%d records: %+v", len(log), log)
	}
	for i, want := range []string{`{"text":"}{"}`, `{"Amount": 1.50}`, ``, `no JSON`} {
		r := log[i]
		if string(r.Data) != want || r.Stream.Name != "Loan-L 7" || r.Type != "Loan Changed" || r.Version != daybook.Version(i+1) ||
			r.Context.Who != "Bob" || r.Context.Commentary != "it says }{ too" || r.Context.Correlation != "c" || r.Context.Schema != "s" ||
			string(r.Context.Metadata) != fmt.Sprintf(`{"sequence":%d,"version":2}`, i+1) || r.OccurredAt.Format("15:04:05.000000") != fmt.Sprintf("00:00:0%d.123456", i+1) {
			t.Errorf("record %d is %+v, want data %s", i+1, r, want)
		}
	}
	if log[3].ContentType != "text/plain; charset=utf-8" || log[1].ContentType != daybook.ContentTypeJSON {
		t.Errorf("content types %q and %q", log[3].ContentType, log[1].ContentType)
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("%v, %v", report.Findings, err)
	}
	if all := records(t, w.open(";Only=blobs"), daybook.LogRead{}); len(all) != 4 {
		t.Errorf("blobs alone have %d records", len(all))
	}
	if all := records(t, w.open(";Only=tables"), daybook.LogRead{}); len(all) != 4 {
		t.Errorf("tables alone have %d records", len(all))
	}
}

func TestTypeIsThatOfThePathWhereTheLibraryWroteTheKey(t *testing.T) {
	w := emulator(t)
	metadata := map[string]string{"DOMAIN": w.domain, "ENTITYTYPENAME": "k1", "INSTANCEKEY": "k1"}
	w.blob(strings.ToLower(strings.ReplaceAll(w.domain, ".", "-")), "eventstreams/loan/eventstreams/k1/k1.events", metadata, loan(1, `{}`))
	if log := records(t, w.open(""), daybook.LogRead{}); len(log) != 1 || log[0].Stream.Name != "loan-k1" {
		t.Errorf("%+v", log)
	}
}

func TestBlobThatIsDamagedIsNamed(t *testing.T) {
	for name, text := range map[string]string{
		"cut": loan(1, `{}`) + loan(2, `{}`)[:100], "no JSON": loan(1, `{}`) + "?", "other JSON": loan(1, `{}`) + `[]`, "no time": `{"EventTypeName":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := emulator(t)
			w.blob(strings.ToLower(strings.ReplaceAll(w.domain, ".", "-")), "a.events", map[string]string{"DOMAIN": w.domain, "ENTITYTYPENAME": "Loan", "INSTANCEKEY": "k"}, text)
			_, err := azurefunctions.Open(t.Context(), w.url+";Domain="+w.domain, &azurefunctions.Options{Dir: t.TempDir()})
			var corrupt *daybook.CorruptError
			if !errors.As(err, &corrupt) || !strings.Contains(corrupt.File, "a.events") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestEntityThatStandsTwiceIsRefused(t *testing.T) {
	w := emulator(t)
	w.accounts()
	w.blob(strings.ToLower(strings.ReplaceAll(w.domain, ".", "-")), "b.events", map[string]string{"DOMAIN": w.domain, "ENTITYTYPENAME": "Account", "INSTANCEKEY": "B"}, loan(1, `{}`))
	_, err := azurefunctions.Open(t.Context(), w.url+";Domain="+w.domain, &azurefunctions.Options{Dir: t.TempDir()})
	var invalid *daybook.InvalidError
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "Only=tables") {
		t.Errorf("%v", err)
	}
}

func TestNothingIsWritten(t *testing.T) {
	w := emulator(t)
	store := w.open("")
	_, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "b"})
	if !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("%v", err)
	}
}

func TestURLThatIsWrongIsRefusedWithoutItsKey(t *testing.T) {
	for _, url := range []string{
		"azuretable-functions:", "azuretable-functions:s3cr", "azuretable-functions:AccountName=a", "azuretable-functions:AccountKey=s3cr",
		"azuretable-functions:AccountName=a;AccountKey=s3cr!", "azuretable-functions:AccountName=a;AccountKey=czNjcg==;Only=both",
		"azuretable-functions:TableEndpoint=http://127.0.0.1:1/;SharedAccessSignature=sig=s3cr", "azuretable:AccountName=a;AccountKey=s3cr",
	} {
		_, err := azurefunctions.Open(t.Context(), url, nil)
		if !errors.Is(err, daybook.ErrInvalid) || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestServiceThatRefusesIsToldWithoutTheSignature(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		reply.Header().Set("x-ms-error-code", "AuthenticationFailed")
		reply.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	url := "azuretable-functions:TableEndpoint=" + server.URL + ";SharedAccessSignature=?sv=1&sig=s3cr;Only=tables"
	_, err := azurefunctions.Open(t.Context(), url, &azurefunctions.Options{Dir: t.TempDir()})
	if err == nil || strings.Contains(err.Error(), "s3cr") || !strings.Contains(err.Error(), "403 AuthenticationFailed") {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := azurefunctions.Open(gone, url, &azurefunctions.Options{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// block is the body of a block.
type block struct{ *strings.Reader }

func (block) Close() error { return nil }
