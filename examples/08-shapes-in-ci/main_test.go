package main

import (
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// recorded is a directory with what production has recorded.
func recorded(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	driver, err := disk.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	for _, past := range []struct{ stream, kind, schema, data string }{
		{"account-1", "opened", "", `{"Owner":"Ann"}`},
		{"account-1", "deposited", "", `{"Amount":9.95}`},
		{"account-2", "opened", "", `{"Owner":"Bob"}`},
		{"account-2", "deposited", "", `{"Amount":20}`},
		{"account-1", "deposited", "2", `{"Cents":500}`},
		{"account-2", "deposited", "", `{"Amount":0.5}`},
	} {
		event := daybook.Event{Type: past.kind, Data: []byte(past.data), Context: daybook.Context{Schema: past.schema}}
		if _, err := store.Append(t.Context(), daybook.Stream(past.stream), daybook.ExpectAny(), event); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAForgottenStepFailsTheBuildAndIsNamed(t *testing.T) {
	uses, err := uses(false)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	fine, err := check(t.Context(), recorded(t), uses, &out)
	want := `deposited: 1 of 1 records do not decode
    $.Amount:integer $:object
    codec: record 4, version 2 of stream "account-2": unknown type: type "deposited": only other schemas of it have an entry
    in account-2
deposited: 2 of 2 records do not decode
    $.Amount:number $:object
    codec: record 2, version 2 of stream "account-1": unknown type: type "deposited": only other schemas of it have an entry
    in account-1 account-2
6 records of 4 shapes read, up to position 6: 3 records of 2 shapes do not decode
`
	if fine || err != nil || out.String() != want {
		t.Errorf("fine %v, %v, output:\n%swant:\n%s", fine, err, out.String(), want)
	}
}

func TestWithTheStepTheBuildPasses(t *testing.T) {
	uses, err := uses(true)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	fine, err := check(t.Context(), recorded(t), uses, &out)
	if want := "6 records of 4 shapes read, up to position 6: all decode\n"; !fine || err != nil || out.String() != want {
		t.Errorf("fine %v, %v, output:\n%swant:\n%s", fine, err, out.String(), want)
	}
}
