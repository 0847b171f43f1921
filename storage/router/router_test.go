package router_test

import (
	"context"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/router"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// over returns a router over members in memory, which the test closes.
func over(t *testing.T, rules []router.Rule, options *router.Options, names ...string) *router.Driver {
	t.Helper()
	var members []router.Member
	for _, name := range names {
		members = append(members, router.Member{Name: name, Driver: memory.New(nil)})
	}
	var order daybook.Driver
	if len(members) > 1 {
		order = memory.New(nil)
	}
	return made(t, members, rules, order, options)
}

// made returns a router, which the test closes.
func made(t *testing.T, members []router.Member, rules []router.Rule, order daybook.Driver, options *router.Options) *router.Driver {
	t.Helper()
	driver, err := router.New(context.Background(), members, rules, order, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	return driver
}

// rules returns rules from texts: "Bank.Account tables" as in a file.
func rules(t *testing.T, pairs ...string) []router.Rule {
	t.Helper()
	var all []router.Rule
	for i := 0; i < len(pairs); i += 2 {
		var found router.Rule
		for dot := len(pairs[i]) - 1; dot >= 0; dot-- {
			if pairs[i][dot] == '.' {
				found = router.Rule{Partition: pairs[i][:dot], Type: pairs[i][dot+1:], Store: pairs[i+1]}
				break
			}
		}
		all = append(all, found)
	}
	return all
}

// byPartition sends the partitions that the suite uses to three stores.
func byPartition(t *testing.T) []router.Rule {
	return rules(t, ".ALL", "one", "north.ALL", "two", "p.ALL", "two", "south.ALL", "three", "ALL.ALL", "three")
}

// byType sends the types that the suite uses to three stores, in every
// partition.
func byType(t *testing.T) []router.Rule {
	return rules(t, "ALL.writer", "one", "ALL.shared", "two", "ALL.account", "three", "ALL.bill", "one", "ALL.other", "two", ".b", "two", "ALL.ALL", "one")
}

// The table of storage/README.md shows what is offered over several stores.
// to streams of one of them: what spans two is refused, see spans_test.go.
func TestRouterOverSeveralStoresKeepsEveryPromise(t *testing.T) {
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		members := []router.Member{{Name: "one", Driver: lasting{memory.New(nil)}}, {Name: "two", Driver: lasting{memory.New(nil)}}}
		order := lasting{memory.New(nil)}
		reopen := func() daybook.Driver {
			return made(t, members, rules(t, "Elsewhere.ALL", "two", "ALL.ALL", "one"), order, nil)
		}
		return reopen(), reopen
	})
}

// elsewhere runs a suite whose results are not those of the table.
func elsewhere(t *testing.T) { t.Chdir(t.TempDir()) }

func TestRouterOverOneStoreHoldsWhatItHolds(t *testing.T) {
	elsewhere(t)
	storagetest.Run(t, func(t *testing.T) daybook.Driver {
		return over(t, rules(t, "ALL.ALL", "one"), nil, "one")
	})
}

func TestRouterOverStoresOfPartitionsHoldsWhatItOffers(t *testing.T) {
	elsewhere(t)
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		return reopened(t, byPartition(t))
	})
}

func TestRouterOverStoresOfStreamTypesHoldsWhatItOffers(t *testing.T) {
	elsewhere(t)
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		return reopened(t, byType(t))
	})
}

// lasting outlives the router that closes it.
type lasting struct{ *memory.Driver }

func (lasting) Close() error { return nil }

// apart is a storage that takes one stream an append, and no references: over
// several such, the suite runs with streams of different stores side by side.
type apart struct{ *memory.Driver }

func (apart) Close() error { return nil }

func (d apart) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if len(a.Changesets) > 1 {
		return daybook.Receipt{}, &daybook.UnsupportedError{Driver: "apart", Feature: "several streams in one append"}
	}
	if len(a.Changesets[0].References) > 0 {
		return daybook.Receipt{}, &daybook.UnsupportedError{Driver: "apart", Feature: "references"}
	}
	return d.Driver.Append(ctx, a)
}

// reopened returns a router over three stores, and what makes another one over
// the same.
func reopened(t *testing.T, rules []router.Rule) (daybook.Driver, func() daybook.Driver) {
	t.Helper()
	var members []router.Member
	for _, name := range []string{"one", "two", "three"} {
		members = append(members, router.Member{Name: name, Driver: apart{memory.New(nil)}})
	}
	order := lasting{memory.New(nil)}
	reopen := func() daybook.Driver { return made(t, members, rules, order, nil) }
	return reopen(), reopen
}
