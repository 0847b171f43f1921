package cosmos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/daybook-go/daybook"
)

// What Finaps's library writes, item by item, and what it does by its rules:
// it reads the events of an aggregate by AggregateId and Index, and adds events
// by a batch that reads the event in front of them and creates them.

const (
	noPartition = "00000000-0000-0000-0000-000000000000"
	tenant      = "11111111-2222-3333-4444-555555555555"
	ann         = "f543d76a-3895-48e2-a836-f09d4a00cd7f"
	bob         = "0a0b0c0d-0e0f-4a0b-8c0d-0e0f0a0b0c0d"
)

// finapsItem is an event as that library writes it.
func finapsItem(partition, aggregate string, index int, kind, members string, at time.Time) string {
	return fmt.Sprintf(`{"Amount":%s,"id":"Event|%s[%d]","Kind":1,"Type":"%s","AggregateType":"BankAccount","PartitionId":"%s","AggregateId":"%s","Index":%d,"Timestamp":"%s"}`,
		members, aggregate, index, kind, partition, aggregate, index, at.Format("2006-01-02T15:04:05.0000000+00:00"))
}

// finapsFixture is a container with two aggregates in the default partition,
// whose events alternate, one in another, and a snapshot and a projection.
func finapsFixture() map[string][]string {
	at := func(second int) time.Time { return time.Date(2022, 2, 24, 10, 0, second, 123_456_000, time.UTC) }
	return map[string][]string{
		noPartition: {
			finapsItem(noPartition, ann, 0, "BankAccountCreatedEvent", "0", at(1)),
			finapsItem(noPartition, ann, 1, "FundsDepositedEvent", "100.50", at(3)),
			finapsItem(noPartition, ann, 2, "FundsWithdrawnEvent", "7", at(2)), // a time before that of its predecessor
			finapsItem(noPartition, bob, 0, "BankAccountCreatedEvent", "0", at(2)),
			fmt.Sprintf(`{"id":"Snapshot|%s[1]","Kind":2,"Type":"BankAccountSnapshot","AggregateType":"BankAccount",`+
				`"PartitionId":"%s","AggregateId":"%s","Index":1,"Timestamp":"2022-02-24T10:00:03Z"}`, ann, noPartition, ann),
			fmt.Sprintf(`{"id":"Projection|BankAccountProjection|%s","Kind":3,"Type":"BankAccountProjection","AggregateType":"BankAccount",`+
				`"PartitionId":"%s","AggregateId":"%s"}`, ann, noPartition, ann),
		},
		tenant: {finapsItem(tenant, ann, 0, "BankAccountCreatedEvent", "5", at(9))},
	}
}

// account returns a client of the container, without Daybook.
func account(t *testing.T, d *double) *azcosmos.ContainerClient {
	t.Helper()
	key, err := azcosmos.NewKeyCredential(doubleKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azcosmos.NewClientWithKey(d.server.URL+"/", key, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	container, err := client.NewContainer("tests", "events")
	if err != nil {
		t.Fatal(err)
	}
	return container
}

// filled returns a double with the fixture in it.
func filled(t *testing.T) (*double, *azcosmos.ContainerClient) {
	t.Helper()
	d := newDouble(t)
	container := account(t, d)
	for partition, items := range finapsFixture() {
		for _, text := range items {
			if _, err := container.CreateItem(t.Context(), azcosmos.NewPartitionKeyString(partition), []byte(text), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d, container
}

func TestContainerThatFinapsHasFilledOpensAndIsGoneOnWith(t *testing.T) {
	d, container := filled(t)
	store := daybook.New(open(t, d.url("events"), quick()), nil)
	log := sound(t, store)
	var told []string
	for _, r := range log {
		told = append(told, fmt.Sprintf("%s %d %s %s %s", r.Stream, r.Version, r.Type, r.Data, r.OccurredAt.Format("05.000000")))
	}
	wanted := []string{
		"BankAccount-" + ann + ` 1 BankAccountCreatedEvent {"Amount":0} 01.123456`,
		"BankAccount-" + bob + ` 1 BankAccountCreatedEvent {"Amount":0} 02.123456`,
		"BankAccount-" + ann + ` 2 FundsDepositedEvent {"Amount":100.5} 03.123456`,
		// Put behind its predecessor, by which its time is moved.
		"BankAccount-" + ann + ` 3 FundsWithdrawnEvent {"Amount":7} 03.123456`,
		tenant + "/BankAccount-" + ann + ` 1 BankAccountCreatedEvent {"Amount":5} 09.123456`,
	}
	slices.Sort(told)
	slices.Sort(wanted)
	if !slices.Equal(told, wanted) {
		t.Errorf("the log has\n%q\nwant\n%q", told, wanted)
	}
	id := daybook.Stream("BankAccount-" + ann)
	event := daybook.Event{Type: "FundsDepositedEvent", Data: []byte(`{"Amount": 8, "Kind": "forged", "Note":"x"}`)}
	receipt, err := store.Append(t.Context(), id, daybook.ExpectVersion(3), event, event)
	if err != nil || receipt.Changesets[0].First != 4 {
		t.Fatalf("going on: %+v, %v", receipt, err)
	}
	if read := finapsReads(t, container, noPartition, ann); !slices.Equal(read, []string{"0 0", "1 100.5", "2 7", "3 8", "4 8"}) {
		t.Errorf("Finaps's library reads %q", read)
	}
	// That library goes on in its turn, and Daybook behind it.
	if err := finapsAdds(t, container, noPartition, ann, 5); err != nil {
		t.Fatal(err)
	}
	var conflict *daybook.ConflictError
	if _, err := store.Append(t.Context(), id, daybook.ExpectVersion(5), event); !errors.As(err, &conflict) || conflict.Found.Version != 6 {
		t.Errorf("behind an event that the library has added: %v, want a conflict at version 6", err)
	}
	if _, err := store.Append(t.Context(), id, daybook.ExpectVersion(6), event); err != nil {
		t.Error(err)
	}
	if log := sound(t, store); len(log) != 9 {
		t.Errorf("the log has %d records, want 9", len(log))
	}
	if err := finapsAdds(t, container, noPartition, ann, 9); statusIn(err) != http.StatusNotFound {
		t.Errorf("an event behind a gap: %v, want that its predecessor is missing", err)
	}
	// What it adds is met by a read, too, and by opening.
	if err := errors.Join(finapsAdds(t, container, noPartition, ann, 7), finapsAdds(t, container, tenant, ann, 1)); err != nil {
		t.Fatal(err)
	}
	last := daybook.Version(0)
	for record, err := range store.ReadStream(t.Context(), id, daybook.StreamRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		last = record.Version
	}
	if log := sound(t, daybook.New(open(t, d.url("events"), quick()), nil)); last != 8 || len(log) != 11 {
		t.Errorf("the read came to version %d, want 8; opened again, the log has %d records, want 11", last, len(log))
	}
}

// finapsReads returns the index and the amount of each event of an aggregate.
func finapsReads(t *testing.T, container *azcosmos.ContainerClient, partition, aggregate string) (read []string) {
	t.Helper()
	q := container.NewQueryItemsPager("SELECT * FROM c WHERE c.AggregateId = @a AND c.Kind = 1 AND c.AggregateType = 'BankAccount' ORDER BY c.Index",
		azcosmos.NewPartitionKeyString(partition), &azcosmos.QueryOptions{QueryParameters: []azcosmos.QueryParameter{{Name: "@a", Value: aggregate}}})
	for q.More() {
		page, err := q.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range page.Items {
			var e struct {
				Index     int
				Amount    float64
				Timestamp time.Time
			}
			if err := json.Unmarshal(raw, &e); err != nil || e.Timestamp.IsZero() {
				t.Fatalf("%s: %v", raw, err)
			}
			read = append(read, fmt.Sprint(e.Index, " ", e.Amount))
		}
	}
	return read
}

// finapsAdds adds an event by that library's batch.
func finapsAdds(t *testing.T, container *azcosmos.ContainerClient, partition, aggregate string, index int) error {
	t.Helper()
	b := container.NewTransactionalBatch(azcosmos.NewPartitionKeyString(partition))
	b.ReadItem(fmt.Sprintf("Event|%s[%d]", aggregate, index-1), nil)
	b.CreateItem([]byte(finapsItem(partition, aggregate, index, "FundsDepositedEvent", "1", time.Now().UTC())), nil)
	answer, err := container.ExecuteTransactionalBatch(t.Context(), b, nil)
	if err == nil && !answer.Success {
		return &azcore.ResponseError{StatusCode: int(answer.OperationResults[0].StatusCode)}
	}
	return err
}

func statusIn(err error) int {
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return response.StatusCode
	}
	return 0
}

// TestStreamsOfOneGUIDAreApart: in Finaps's layout an aggregate's id is unique
// whatever its type, in Daybook the whole name is.
func TestStreamsOfOneGUIDAreApart(t *testing.T) {
	for _, partition := range []string{"", tenant} {
		store := daybook.New(open(t, newDouble(t).url("events"), quick()), nil)
		names := []string{"Order-" + ann, "Basket-" + ann, "-" + ann, ann, "Order-" + noPartition, "a-b-" + ann, "Order-/\\?#" + ann}
		for i, name := range names {
			for range 2 {
				event := daybook.Event{Type: "made", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
				if _, err := store.Append(t.Context(), named(partition, name), daybook.ExpectAny(), event); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, name := range names {
			count := 0
			for record, err := range store.ReadStream(t.Context(), named(partition, name), daybook.StreamRead{}) {
				if err != nil || string(record.Data) != fmt.Sprintf(`{"n":%d}`, i) {
					t.Errorf("%q has %s, %v", name, record.Data, err)
				}
				count++
			}
			if count != 2 {
				t.Errorf("%q has %d records, want 2", name, count)
			}
		}
		sound(t, store)
	}
}
