package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/storagetest"
	"github.com/daybook-go/daybook/verify"
)

// inDirectories is a router over three directories, by partition.
const inDirectories = `{
	"stores": [{"name": "one", "url": "file:%[1]s/one"}, {"name": "two", "url": "file:%[1]s/two"}],
	"order": "file:%[1]s/order",
	"rules": [{"streams": "Elsewhere.ALL", "store": "two"}, {"streams": "ALL.ALL", "store": "one"}]
}`

// The suite, over what the command line opens. What is offered is that of the
// table in storage/README.md, where it is over memory.
func TestRouterOverDirectoriesHoldsWhatItOffers(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite of the router is run on memory")
	}
	t.Chdir(t.TempDir()) // there are no results to compare with
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		dir := t.TempDir()
		file := filepath.Join(dir, "stores.json")
		if err := os.WriteFile(file, fmt.Appendf(nil, inDirectories, dir), 0o600); err != nil {
			t.Fatal(err)
		}
		reopen := func() daybook.Driver { return openedFor(t, "router:"+file) }
		return reopen(), reopen
	})
}

// openedFor opens a store for a test, which closes it.
func openedFor(t *testing.T, url string) daybook.Driver {
	t.Helper()
	p := &program{stderr: new(discarded), getenv: func(string) string { return "" }}
	driver, err := p.openDriver(context.Background(), opening{address: url, access: writing})
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

type discarded struct{}

func (discarded) Write(text []byte) (int, error) { return len(text), nil }

// Three programs append through routers of their own to a table and to blobs on
// the emulator, while a fourth follows the log.
func TestRoutersOverAzureGiveOneOrder(t *testing.T) {
	url := routed(t, onAzure(t))
	const programs, appends = 3, 12
	reader := daybook.New(openedFor(t, url), nil)
	group, ctx := errgroup.WithContext(t.Context())
	var followed []daybook.Position
	group.Go(func() error {
		for record, err := range reader.Follow(ctx, daybook.LogRead{Limit: programs * appends}) {
			if err != nil {
				return err
			}
			followed = append(followed, record.Position)
		}
		return nil
	})
	for program := range programs {
		store := daybook.New(openedFor(t, url), nil)
		group.Go(func() error {
			for i := range appends {
				kind := [...]string{"account", "note"}[(i+program)%2]
				id := daybook.Stream(fmt.Sprintf("%s-%d", kind, i%3))
				receipt, err := store.Append(ctx, id, daybook.ExpectAny(), daybook.Event{Type: "written"})
				if err != nil {
					return err
				}
				own, err := store.Head(ctx, id)
				if err != nil || own.Position < receipt.Position() {
					return fmt.Errorf("an append to %s at %d is not read back: %+v, %w", id, receipt.Position(), own, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var log []daybook.Position
	for record, err := range daybook.New(openedFor(t, url), nil).ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, record.Position)
	}
	if !slices.Equal(log, followed) || len(log) != programs*appends {
		t.Errorf("a follower saw %v, the log is %v", followed, log)
	}
	if report, err := verify.Store(t.Context(), reader, nil); err != nil || !report.OK() {
		t.Errorf("%v, %v", report.Findings, err)
	}
}
