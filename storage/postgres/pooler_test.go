package postgres_test

import (
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func TestPostgresKeepsEveryPromiseThroughPgBouncer(t *testing.T) {
	pooler := serverURL(t, poolerVariable, "pgbouncer")
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := schemaAt(t, pooler)
		return open(t, address, nil), func() daybook.Driver { return open(t, address, nil) }
	})
}

// Through a pooler nobody is notified.
func TestFollowersWakeThroughPgBouncer(t *testing.T) {
	address := schemaAt(t, serverURL(t, poolerVariable, "pgbouncer"))
	follower := daybook.New(open(t, address, &postgres.Options{Poll: 10 * time.Millisecond}), nil)
	writer := daybook.New(open(t, address, nil), nil)
	for after := range daybook.Position(5) {
		woken := make(chan error, 1)
		go func() { woken <- follower.Wait(t.Context(), after) }()
		if _, err := writer.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), daybook.Event{Type: "deposited"}); err != nil {
			t.Fatal(err)
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
		if got := records(t, follower.ReadLog(t.Context(), daybook.LogRead{After: after})); len(got) != 1 {
			t.Fatalf("who was woken behind position %d finds %d records, want 1", after, len(got))
		}
	}
}
