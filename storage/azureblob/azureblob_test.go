package azureblob_test

import (
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// urlVariable names the blob service that the tests run on: an emulator, as
// scripts/services starts it.
const urlVariable = "DAYBOOK_AZURITE_BLOB"

// emulatorKey is that of the account that every emulator has.
const emulatorKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// serviceURL returns the URL of the blob service; the test is skipped where
// there is none.
func serviceURL(t testing.TB) string {
	t.Helper()
	service := os.Getenv(urlVariable)
	if service == "" {
		t.Skipf("NOT TESTED: append blobs, since %s is not set: eval \"$(scripts/services start azurite)\"", urlVariable)
	}
	return strings.TrimRight(service, "/")
}

// addressAt returns the address of a container at a service.
func addressAt(service, container string) string {
	return "azureblob:BlobEndpoint=" + service + ";AccountName=devstoreaccount1;AccountKey=" + emulatorKey + ";Container=" + container
}

// freshContainer returns the name of a container that nobody has.
func freshContainer() string { return "t" + strings.ReplaceAll(uuid.NewString(), "-", "") }

func open(t testing.TB, address string, options *azureblob.Options) *azureblob.Driver {
	t.Helper()
	d, err := azureblob.Open(t.Context(), address, options)
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

// often is how often those who wait look: in tests others' appends should be
// seen soon.
const often = 20 * time.Millisecond

func TestAppendBlobsKeepEveryPromise(t *testing.T) {
	service := serviceURL(t)
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := addressAt(service, freshContainer())
		options := &azureblob.Options{Poll: often}
		return open(t, address, options), func() daybook.Driver { return open(t, address, options) }
	})
}

func TestAppendBlobsWithACopyInADirectoryKeepEveryPromise(t *testing.T) {
	service := serviceURL(t)
	if testing.Short() {
		t.Skip("the suite runs once already")
	}
	t.Chdir(t.TempDir()) // the results are compared by the test above
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := addressAt(service, freshContainer())
		options := &azureblob.Options{Poll: often, Directory: t.TempDir()}
		return open(t, address, options), func() daybook.Driver { return open(t, address, options) }
	})
}

func TestAFileKeepsEveryPromise(t *testing.T) {
	t.Chdir(t.TempDir()) // it has the promises of the blobs
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		dir := t.TempDir()
		again := func() daybook.Driver {
			d, err := azureblob.OpenFile(t.Context(), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		return again(), again
	})
}
