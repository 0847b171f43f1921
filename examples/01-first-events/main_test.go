package main

import (
	"strings"
	"testing"
)

func TestOutputIsAsTheProgramTells(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), t.TempDir(), &out); err != nil {
		t.Fatal(err)
	}
	want := `stored up to position 2, durability disk
version 2: balance 50
refused: stream "account-123": expected version 2, found version 3, changeset 2
missed: version 3 withdrawn {"amount":40}
version 4: balance 0
`
	if out.String() != want {
		t.Errorf("output:\n%swant:\n%s", out.String(), want)
	}
}
