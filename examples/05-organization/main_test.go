package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"
)

func TestOutputIsAsTheProgramTells(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	var out strings.Builder
	if err := run(t.Context(), store, &out); err != nil {
		t.Fatal(err)
	}
	want := `The Daybook, version 3
another one: the organization is not registered
1 registered {"Name":"Daybok"} by ann: register organization
2 renamed {"Name":"Daybook"} by bob: correct the spelling
3 renamed {"Name":"The Daybook"} by ann: council of May
`
	if out.String() != want {
		t.Errorf("output:\n%swant:\n%s", out.String(), want)
	}
}

// An object is tested without a store.
func TestRenamingToTheSameNameEmitsNothing(t *testing.T) {
	o := aggregate.Begin(&Organization{})
	if err := o.Rename("a"); !errors.Is(err, errNotRegistered) {
		t.Errorf("renaming before registering answers %v", err)
	}
	_, _, _ = o.Register("a"), o.Register("b"), o.Rename("a")
	if pending := o.Pending(); len(pending) != 1 || pending[0] != (Registered{Name: "a"}) {
		t.Errorf("it has emitted %v", pending)
	}
}
