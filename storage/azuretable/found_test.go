package azuretable_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azuretable"
)

// put writes a row as another program does.
func put(t testing.TB, table *aztables.Client, row map[string]any) {
	t.Helper()
	encoded, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.AddEntity(t.Context(), encoded, nil); err != nil {
		t.Fatal(err)
	}
}

// seedRow is a row of MessageHandler's layout.
func seedRow(kind, source string, version int, eventType, body string) map[string]any {
	return map[string]any{
		"PartitionKey": kind, "RowKey": fmt.Sprintf("%s_%06d", source, version), "EventType": eventType, "SourceId": source,
		"Version": version, "Body": body, "TenantId": "all",
	}
}

// seedTable fills a table row by row, as its library does.
func seedTable(t testing.TB) string {
	t.Helper()
	name := freshTable(t)
	table := tableOf(t, name)
	if _, err := table.CreateTable(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	put(t, table, seedRow("OrderBooking", "91d6950e", 1, "BookingStarted", `{"Name":"Jane"}`))
	put(t, table, seedRow("OrderBooking", "1aa6ab11", 1, "BookingStarted", `{"Name":"Ann"}`))
	put(t, table, seedRow("OrderBooking", "91d6950e", 2, "SalesOrderConfirmed", `{ "Reference" : "x-1" }`))
	put(t, table, seedRow("Notification", "buyer_1", 1, "PreferencesSet", strings.Repeat("é", 20_000)))
	return name
}

func TestATableOfTheSeedOpensAndIsReadOn(t *testing.T) {
	name := seedTable(t)
	store := daybook.New(open(t, urlOf(emulator(t), name), nil), nil)
	var got []string
	for _, r := range records(t, store.ReadLog(t.Context(), daybook.LogRead{})) {
		got = append(got, fmt.Sprintf("%d %s %d %s", r.Position, r.Stream.Name, r.Version, r.Type))
	}
	want := []string{
		"1 OrderBooking-91d6950e 1 BookingStarted", "2 OrderBooking-1aa6ab11 1 BookingStarted",
		"3 OrderBooking-91d6950e 2 SalesOrderConfirmed", "4 Notification-buyer_1 1 PreferencesSet",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log of the seed's table is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	booking := daybook.Stream("OrderBooking-91d6950e")
	stream := records(t, store.ReadStream(t.Context(), booking, daybook.StreamRead{}))
	if len(stream) != 2 || string(stream[1].Data) != `{ "Reference" : "x-1" }` {
		t.Errorf("the stream of the seed is %+v", stream)
	}
	if _, err := store.Append(t.Context(), booking, daybook.ExpectVersion(2), daybook.Event{Type: "Shipped", Data: []byte(`{"On":1}`)}); err != nil {
		t.Fatal(err)
	}
	settled(t, name)
	again := daybook.New(open(t, urlOf(emulator(t), name), nil), nil)
	if n := len(records(t, again.ReadStream(t.Context(), booking, daybook.StreamRead{}))); n != 3 {
		t.Errorf("opened again, the stream has %d records, want 3", n)
	}
	sound(t, again, 5)
}

func TestTheSeedsLibraryGoesOnReading(t *testing.T) {
	name := seedTable(t)
	store := daybook.New(open(t, urlOf(emulator(t), name), nil), nil)
	if _, err := store.Append(t.Context(), daybook.Stream("OrderBooking-91d6950e"), daybook.ExpectVersion(2), daybook.Event{Type: "Shipped", Data: []byte(`{"On":1}`)}); err != nil {
		t.Fatal(err)
	}
	settled(t, name)
	rows := rowsOf(t, name, "PartitionKey eq 'OrderBooking' and RowKey ge '91d6950e_000001' and RowKey le '91d6950e_999999'")
	if len(rows) != 3 {
		t.Fatalf("the seed's query gives %d rows, want 3", len(rows))
	}
	for i, want := range []string{`BookingStarted {"Name":"Jane"}`, `SalesOrderConfirmed { "Reference" : "x-1" }`, `Shipped {"On":1}`} {
		row := rows[i]
		if got := fmt.Sprintf("%v %v", row["EventType"], row["Body"]); got != want || row["Version"] != float64(i+1) || row["SourceId"] != "91d6950e" {
			t.Errorf("row %d is %v, want %s", i+1, row, want)
		}
	}
	if rows[0]["TenantId"] != "all" {
		t.Error("a column of the seed's that we do not know is gone")
	}
	if n := len(rowsOf(t, name, "PartitionKey eq 'Notification'")); n != 1 {
		t.Errorf("the partition of a type has %d rows, want 1: a copy was written beside the seed's", n)
	}
}

func rowsOf(t testing.TB, table, filter string) (rows []map[string]any) {
	t.Helper()
	pager := tableOf(t, table).NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter})
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, encoded := range page.Entities {
			var row map[string]any
			if err := json.Unmarshal(encoded, &row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// TestATakeOverThatIsCutIsFinishedByTheNext stops the first process at each of
// its writes while it takes over a table.
func TestATakeOverThatIsCutIsFinishedByTheNext(t *testing.T) {
	for _, what := range []string{"create page", "settle", "mark settled"} {
		t.Run(what, func(t *testing.T) {
			name := seedTable(t)
			p := newProxy(t)
			p.troubled(once(what, 1000, trouble{status: 403, code: "AuthorizationFailure"}))
			cut, err := azuretable.Open(t.Context(), urlOf(p.endpoint(), name), nil)
			if err != nil {
				t.Fatal(err)
			}
			for range cut.ReadLog(t.Context(), daybook.LogRead{}) { // how far it comes does not count
			}
			_ = cut.Close()
			sound(t, daybook.New(open(t, urlOf(emulator(t), name), nil), nil), 4)
		})
	}
}

func TestReadingOnlyWritesNothing(t *testing.T) {
	name := seedTable(t)
	address := urlOf(emulator(t), name)
	reader := daybook.New(open(t, address, &azuretable.Options{ReadOnly: true}), nil)
	for _, err := range reader.ReadLog(t.Context(), daybook.LogRead{}) {
		if !errors.Is(err, daybook.ErrRefused) {
			t.Errorf("a table that was not taken over was read: %v", err)
		}
	}
	if n := len(rowsOf(t, name, "PartitionKey ge ''")); n != 4 {
		t.Errorf("the table has %d rows, want the 4 of the seed", n)
	}
	sound(t, daybook.New(open(t, address, nil), nil), 4)
	settled(t, name)
	if n := len(records(t, reader.ReadLog(t.Context(), daybook.LogRead{}))); n != 4 {
		t.Errorf("taken over, %d records are read, want 4", n)
	}
	if _, err := reader.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), event("a")); !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("an append was answered with %v, want ErrReadOnly", err)
	}
	missing := urlOf(emulator(t), freshTable(t))
	if _, err := azuretable.Open(t.Context(), missing, &azuretable.Options{ReadOnly: true}); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a table that is not there was opened for reading: %v", err)
	}
}
