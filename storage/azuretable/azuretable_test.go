package azuretable_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azuretable"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// variable names the emulator that the tests use; scripts/services starts it.
const variable = "DAYBOOK_AZURITE_TABLE"

// The account of the emulator and its key are published with it.
const (
	account    = "devstoreaccount1"
	accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// emulator returns the URL of the emulator's table service.
func emulator(t testing.TB) string {
	t.Helper()
	endpoint := os.Getenv(variable)
	if endpoint == "" {
		t.Skipf("NOT TESTED: storage/azuretable, since %s names no emulator: eval \"$(scripts/services start azurite)\"", variable)
	}
	return endpoint
}

// urlOf returns the URL of a store in a table behind an endpoint.
func urlOf(endpoint, table string) string {
	return fmt.Sprintf("azuretable:AccountName=%s;AccountKey=%s;TableEndpoint=%s;Table=%s", account, accountKey, endpoint, table)
}

// freshTable returns the name of a table that no other test uses; it is dropped
// when the test ends.
func freshTable(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%x", rand.Uint64())
	client := tableOf(t, name)
	t.Cleanup(func() { _, _ = client.Delete(context.Background(), nil) })
	return name
}

// freshURL returns the URL of a store in a fresh table.
func freshURL(t testing.TB) string {
	t.Helper()
	return urlOf(emulator(t), freshTable(t))
}

// tableOf returns a client of a table, beside those of a driver.
func tableOf(t testing.TB, name string) *aztables.Client {
	t.Helper()
	credential, err := aztables.NewSharedKeyCredential(account, accountKey)
	if err != nil {
		t.Fatal(err)
	}
	service, err := aztables.NewServiceClientWithSharedKey(emulator(t), credential, nil)
	if err != nil {
		t.Fatal(err)
	}
	return service.NewClient(name)
}

func open(t testing.TB, address string, options *azuretable.Options) *azuretable.Driver {
	t.Helper()
	if options == nil {
		options = &azuretable.Options{Poll: 5 * time.Millisecond}
	}
	d, err := azuretable.Open(t.Context(), address, options)
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

// openOnly opens a store that may not be there.
func openOnly(t testing.TB, address string) (*azuretable.Driver, error) {
	t.Helper()
	return azuretable.Open(t.Context(), address, nil)
}

// records gathers what a read yields, which must not fail.
func records(t testing.TB, read iter.Seq2[daybook.Record, error]) (all []daybook.Record) {
	t.Helper()
	for record, err := range read {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

func TestTableKeepsEveryPromise(t *testing.T) {
	emulator(t) // else the promises would look as if they were not offered
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := freshURL(t)
		return open(t, address, nil), func() daybook.Driver { return open(t, address, nil) }
	})
}
