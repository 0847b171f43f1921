package cosmos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/cosmos"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// urlVariable names an account, with the key, and a database of it in which the
// tests make containers of their own.
const urlVariable = "DAYBOOK_COSMOS_URL"

func open(t testing.TB, address string, options *cosmos.Options) *cosmos.Driver {
	t.Helper()
	d, err := cosmos.Open(t.Context(), address, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// containers counts those that were made, to give each a name.
var containers atomic.Int64

// options of drivers in tests: those that wait look often.
func quick() *cosmos.Options { return &cosmos.Options{Poll: 5 * time.Millisecond} }

// TestCosmosKeepsEveryPromise runs on a double that is as awkward as the service
// may be: reads without a session token are behind, pages of queries are cut
// short or empty, and a batch does not tell what it need not. The other tests run
// on one that is not.
func TestCosmosKeepsEveryPromise(t *testing.T) {
	d := newDouble(t)
	d.lagging, d.choppy, d.quiet = true, true, true
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := d.container(fmt.Sprint("suite", containers.Add(1)))
		return open(t, address, quick()), func() daybook.Driver { return open(t, address, quick()) }
	})
}

func TestTheServiceKeepsEveryPromise(t *testing.T) {
	address := os.Getenv(urlVariable)
	if address == "" {
		t.Skipf("NOT TESTED: storage/cosmos against Cosmos DB, since %s names no database (cosmos:AccountEndpoint=…;AccountKey=…;Database=…)", urlVariable)
	}
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := fmt.Sprintf("%s;Container=test-%x", address, rand.Uint64())
		options := &cosmos.Options{Create: true}
		return open(t, address, options), func() daybook.Driver { return open(t, address, options) }
	})
}
