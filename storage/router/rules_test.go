package router_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/router"
)

func TestStreamGoesToTheStoreOfTheFirstRuleThatFits(t *testing.T) {
	members := map[string]*memory.Driver{}
	var all []router.Member
	for _, name := range []string{"exact", "partition", "type", "fallback"} {
		members[name] = memory.New(nil)
		all = append(all, router.Member{Name: name, Driver: members[name]})
	}
	driver := made(t, all, rules(t, "ALL.ALL", "fallback", "ALL.Account", "type", "Retail.Bank.ALL", "partition", "Retail.Bank.Account", "exact", ".Note", "exact"), memory.New(nil), nil)
	for stream, want := range map[daybook.StreamID]string{
		{Partition: "Retail.Bank", Name: "Account-1"}: "exact",
		{Partition: "Retail.Bank", Name: "Loan-1"}:    "partition",
		{Partition: "Retail", Name: "Account-1"}:      "type",
		{Partition: "", Name: "Account-1"}:            "type",
		{Partition: "Retail", Name: "Loan-1"}:         "fallback",
		{Partition: "retail.bank", Name: "Loan-1"}:    "fallback",
		{Partition: "Retail.Bank", Name: "Account"}:   "exact",
		{Partition: "Retail.Bank", Name: "account"}:   "partition",
		{Partition: "", Name: "Note"}:                 "exact",
		{Partition: "ALL", Name: "ALL"}:               "fallback",
	} {
		if _, err := daybook.New(driver, nil).Append(t.Context(), stream, daybook.ExpectNone(), daybook.Event{Type: "opened"}); err != nil {
			t.Fatal(err)
		}
		for name, m := range members {
			if head, err := m.Head(t.Context(), stream); err != nil || head.Exists() != (name == want) {
				t.Errorf("stream %q: in %q it has head %+v (%v), but belongs into %q", stream, name, head, err, want)
			}
		}
	}
}

func TestRulesThatAreWrongAreRefused(t *testing.T) {
	stores := `"stores":[{"name":"a","url":"mem:secret"},{"name":"b","url":"mem:secret"}],"order":"mem:secret"`
	for text, field := range map[string]string{
		`{` + stores + `,"rules":[{"streams":"ALL.ALL","store":"c"}]}`:                                                                        "rules[0].store",
		`{` + stores + `,"rules":[{"streams":"ALL.ALL","store":""}]}`:                                                                         "rules[0].store",
		`{` + stores + `,"rules":[{"streams":"ALL.ALL","store":"a"},{"streams":"A.b","store":"a"},{"streams":"A.b","store":"b"}]}`:            "rules[2].streams",
		`{` + stores + `,"rules":[{"streams":"ALL.ALL","store":"a"},{"partition":"A","type":"b","store":"a"},{"streams":"A.b","store":"b"}]}`: "rules[2].streams",
		`{` + stores + `,"rules":[{"streams":"A.ALL","store":"a"},{"streams":"ALL.b","store":"b"}]}`:                                          "rules",
		`{` + stores + `}`: "rules",
		`{` + stores + `,"rules":[{"streams":"ALL","store":"a"}]}`:                                                                    "rules[0].streams",
		`{` + stores + `,"rules":[{"store":"a"}]}`:                                                                                    "rules[0]",
		`{` + stores + `,"rules":[{"partition":"A","store":"a"}]}`:                                                                    "rules[0]",
		`{` + stores + `,"rules":[{"streams":"A.b","type":"c","store":"a"}]}`:                                                         "rules[0]",
		`{` + stores + `,"rules":[{"streams":"ALL.ALL","store":"a"}],"more":1}`:                                                       "configuration",
		`{` + stores + `,"rules":[{"streams":"ALL.ALL","store":"a"}]}{}`:                                                              "configuration",
		`{"stores":[{"name":"a","url":"mem:"},{"name":"b","url":"mem:"}],"rules":[{"streams":"ALL.ALL","store":"a"}]}`:                "order",
		`{"stores":[{"name":"a","url":"mem:"}],"order":"mem:","rules":[{"streams":"ALL.ALL","store":"a"}]}`:                           "order",
		`{"stores":[{"name":"a","url":"mem:"},{"name":"a","url":"mem:"}],"order":"mem:","rules":[{"streams":"ALL.ALL","store":"a"}]}`: "stores[1].name",
		`{"stores":[{"name":"","url":"mem:"}],"rules":[{"streams":"ALL.ALL","store":""}]}`:                                            "stores[0].name",
		`{"stores":[{"name":"a"}],"rules":[{"streams":"ALL.ALL","store":"a"}]}`:                                                       "stores[0].url",
		`{"stores":[],"rules":[]}`: "stores",
		``:                         "configuration",
	} {
		_, err := router.ParseConfig([]byte(text))
		var invalid *daybook.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s\n\twas answered with %v, want *InvalidError about %s", text, err, field)
		}
	}
}

// written writes a configuration and returns its URL.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stores.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "router:" + file
}

func TestConfigurationIsOpenedWithVariablesOfTheEnvironment(t *testing.T) {
	t.Setenv("ROUTER_TEST_KEY", "a key;with=signs")
	url := written(t, `{
		"stores": [{"name": "tables", "url": "tables:${ROUTER_TEST_KEY};Table=events"}, {"name": "blobs", "url": "blobs:"}],
		"order": "tables:${ROUTER_TEST_KEY};Table=order",
		"rules": [{"streams": "Bank.Account", "store": "tables"}, {"partition": "", "type": "v1.note", "store": "tables"}, {"streams": "ALL.ALL", "store": "blobs"}]
	}`)
	opened := map[string]*memory.Driver{}
	driver, err := router.Open(t.Context(), url, func(_ context.Context, url string) (daybook.Driver, error) {
		opened[url] = memory.New(nil)
		return opened[url], nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	tables := opened["tables:a key;with=signs;Table=events"]
	if tables == nil || opened["blobs:"] == nil || opened["tables:a key;with=signs;Table=order"] == nil || len(opened) != 3 {
		t.Fatalf("opened %v", opened)
	}
	store := daybook.New(driver, nil)
	for _, stream := range []daybook.StreamID{{Partition: "Bank", Name: "Account-1"}, {Name: "v1.note-1"}} {
		if _, err := store.Append(t.Context(), stream, daybook.ExpectNone(), daybook.Event{Type: "opened"}); err != nil {
			t.Fatal(err)
		}
		if head, err := tables.Head(t.Context(), stream); err != nil || !head.Exists() {
			t.Errorf("stream %q is not in the store that its rule names: %+v, %v", stream, head, err)
		}
	}
}

func TestStoreThatCannotBeOpenedIsNamedWithoutItsURL(t *testing.T) {
	t.Setenv("ROUTER_TEST_KEY", "secret")
	url := written(t, `{"stores":[{"name":"a","url":"a:${ROUTER_TEST_KEY}"},{"name":"b","url":"b:secret"}],"order":"o:secret","rules":[{"streams":"ALL.ALL","store":"a"}]}`)
	for _, refused := range []string{"a:", "b:", "o:"} {
		var opened []*memory.Driver
		_, err := router.Open(t.Context(), url, func(_ context.Context, url string) (daybook.Driver, error) {
			if strings.HasPrefix(url, refused) {
				return nil, errors.New("it is not there")
			}
			opened = append(opened, memory.New(nil))
			return opened[len(opened)-1], nil
		}, nil)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "it is not there") {
			t.Errorf("opening %s failed with %v", refused, err)
		}
		for _, driver := range opened {
			if _, err := driver.End(t.Context()); !errors.Is(err, daybook.ErrClosed) {
				t.Errorf("what was opened before %s is not closed: %v", refused, err)
			}
		}
	}
	url = written(t, `{"stores":[{"name":"a","url":"a:${ROUTER_TEST_NOT_SET}"}],"rules":[{"streams":"ALL.ALL","store":"a"}]}`)
	_, err := router.Open(t.Context(), url, func(context.Context, string) (daybook.Driver, error) { return memory.New(nil), nil }, nil)
	var invalid *daybook.InvalidError
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "ROUTER_TEST_NOT_SET") {
		t.Errorf("a variable that is not set: %v", err)
	}
	if _, err := router.Open(t.Context(), "router:"+filepath.Join(t.TempDir(), "none.json"), nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
