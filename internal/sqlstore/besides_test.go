package sqlstore

import (
	"reflect"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

func TestWhatAnAppendCarriesIsWrittenAsTheFunctionsReadIt(t *testing.T) {
	var b Besides
	if text := b.Text(); text != nil {
		t.Fatalf("nothing is written as %s, want nil", *text)
	}
	b.Condition(1, nil)
	b.Condition(2, &daybook.Condition{After: 7, Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"a<b"}}, {Tags: []string{"t"}}}}})
	claims, releases := []daybook.Claim{{Kind: "email", Value: "ann"}}, []daybook.Claim{{Kind: "name", Value: "bob"}}
	if !b.Details(3, []byte{0, 255}, claims, releases, []daybook.StreamID{{Partition: "p", Name: "s"}}) {
		t.Error("a changeset with everything has nothing")
	}
	if b.Details(4, nil, nil, nil, nil) {
		t.Error("a changeset with nothing has something")
	}
	b.Demands(3, claims, releases)
	want := `{"conditions":[{"append":2,"after":7,"items":[{"types":["a<b"]},{"tags":["t"]}]}],` +
		`"references":[{"changeset":3,"partition":"p","name":"s"}],` +
		`"releases":[{"changeset":3,"kind":"name","value":"bob"}],` +
		`"claims":[{"changeset":3,"kind":"email","value":"ann"}],` +
		`"changesets":[{"changeset":3,"metadata":"AP8=","claims":[{"kind":"email","value":"ann"}],` +
		`"releases":[{"kind":"name","value":"bob"}],"refers_to":[{"partition":"p","name":"s"}]}]}` + "\n"
	if text := b.Text(); *text != want {
		t.Errorf("got  %s\nwant %s", *text, want)
	}
}

func TestTheReleasesOfAnAppendComeBeforeItsClaims(t *testing.T) {
	first, second := daybook.NewID(), daybook.NewID()
	of := func(id daybook.ID, take, give string) daybook.RecordedChangeset {
		return daybook.RecordedChangeset{ChangesetHeader: daybook.ChangesetHeader{
			AppendID: id, Claims: []daybook.Claim{{Kind: "k", Value: take}}, Releases: []daybook.Claim{{Kind: "k", Value: give}},
		}}
	}
	hands := HandsOf([]daybook.RecordedChangeset{of(first, "a", "b"), of(first, "b", "c"), of(second, "c", "a")})
	want := []Claim{{1, "k", "b", true}, {2, "k", "c", true}, {1, "k", "a", false}, {2, "k", "b", false}, {3, "k", "a", true}, {3, "k", "c", false}}
	if !reflect.DeepEqual(hands, want) {
		t.Errorf("got  %v\nwant %v", hands, want)
	}
}

func TestAContextComesBackAsItWasWritten(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000, time.UTC)
	for _, c := range []daybook.Context{
		{Who: "ann <ann@example.org>", Correlation: "c", Source: "s", Commentary: "\u2028 \"quoted\"", Schema: "1"},
		{Why: &daybook.Cause{ID: "1", What: "pay", When: at, Who: "bob"}},
		{Why: &daybook.Cause{}},
	} {
		text := ContextText(&c)
		got, err := ReadContext([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%s is read as %+v, want %+v", text, got, c)
		}
	}
	if text := ContextText(&daybook.Context{Metadata: []byte("m")}); text != "" {
		t.Errorf("a context of nothing but metadata is written as %s, want nothing", text)
	}
}
