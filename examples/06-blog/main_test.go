package main

import (
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func TestOutputIsAsTheProgramTells(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	var out strings.Builder
	if err := run(t.Context(), store, &out); err != nil {
		t.Fatal(err)
	}
	want := `without a blog: stream "post-1" refers to stream "blog-go", which does not exist
at one address: 1 written, 9 times taken
the address that was left: <nil>
`
	if out.String() != want {
		t.Errorf("output:\n%swant:\n%s", out.String(), want)
	}
}
