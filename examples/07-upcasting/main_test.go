package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestOutputIsAsTheProgramTells(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := `customer-1 registered {"Name":"Ann Lee","City":"Bonn"} -> [{First:Ann Last:Lee Home:{City:Bonn Country:DE}}]
customer-1 viewed {"Page":"/start"} -> []
customer-1 changed {"Field":"fax","Value":"0228-1"} -> []
customer-2 registered {"First":"Bob","Last":"May","City":"Kiel"} -> [{First:Bob Last:May Home:{City:Kiel Country:DE}}]
customer-1 changed {"Field":"city","Value":"Köln"} -> [{To:{City:Köln Country:DE}}]
customer-3 registered {"First":"Eve","Last":"Kent","Home":{"City":"Oslo","Country":"NO"}} -> [{First:Eve Last:Kent Home:{City:Oslo Country:NO}}]
customer 1: Ann Lee, Köln (DE)
customer 2: Bob May, Kiel (DE)
customer 3: Eve Kent, Oslo (NO)
`
	if out.String() != want {
		t.Errorf("output:\n%swant:\n%s", out.String(), want)
	}
}

// Steps are functions: each is tested alone.

func TestANameIsSplitAtItsFirstSpace(t *testing.T) {
	for name, want := range map[string]registeredV2{
		"Ann Lee":       {First: "Ann", Last: "Lee", City: "Bonn"},
		"Ann van Leeuw": {First: "Ann", Last: "van Leeuw", City: "Bonn"},
		"Ann":           {First: "Ann", City: "Bonn"},
	} {
		if got := splitName(registeredV1{name, "Bonn"}); got != want {
			t.Errorf("%q: got %+v, want %+v", name, got, want)
		}
	}
}

func TestAnOldHomeIsInTheCountryOfThatTime(t *testing.T) {
	got := addCountry(registeredV2{"Ann", "Lee", "Bonn"})
	if want := (registered{"Ann", "Lee", address{"Bonn", "DE"}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAnOldChangeIsAMoveOrNothingOrAnError(t *testing.T) {
	for field, want := range map[string][]customerEvent{"city": {moved{address{"Kiel", "DE"}}}, "fax": nil, "newsletter": nil} {
		if got, err := sortChanges(changedV1{field, "Kiel"}, &daybook.Record{}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want %+v", field, got, err, want)
		}
	}
	if _, err := sortChanges(changedV1{"shoe size", "38"}, &daybook.Record{}); err == nil {
		t.Error("an unknown field is no error")
	}
}
