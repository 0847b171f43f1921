package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// TestMain lets the test binary be one of the processes of the bank.
func TestMain(m *testing.M) {
	if address := os.Getenv(processEnv); address != "" {
		os.Exit(process(address))
	}
	os.Exit(m.Run())
}

func TestOutputIsAsTheProgramTells(t *testing.T) {
	// Each look at the clock is a second later.
	seconds := int64(0)
	now := func() time.Time { seconds++; return time.Unix(seconds, 0).UTC() }
	store := daybook.New(memory.New(&memory.Options{Now: now}), nil)
	defer store.Close()
	var out strings.Builder
	if err := run(t.Context(), store, &out, now); err != nil {
		t.Fatal(err)
	}
	want := `transfer of 30: <nil>
transfer of 80: not enough money: 70 of 80
the same number: claim iban "DE1": wanted by stream "account-eve", held by stream "account-ann"
Ann has 70 after 3 events; had 100 after 2
Bob has 230 after 202 events; had 0 after 1
`
	if out.String() != want {
		t.Errorf("output:\n%swant:\n%s", out.String(), want)
	}
}
