package azureblob_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/verify"
)

// TestABlobIsFullWhenTheServiceSaysSo fills a blob with as many blocks as the
// service takes, which takes some minutes.
func TestABlobIsFullWhenTheServiceSaysSo(t *testing.T) {
	if os.Getenv("DAYBOOK_FULL_BLOB") == "" {
		t.Skip("NOT TESTED: a blob of 50,000 blocks, since DAYBOOK_FULL_BLOB is not set")
	}
	const most = 50_000
	service, name := serviceURL(t), freshContainer()
	client := bare(t, service, name)
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the emulator is slow as long as it has so many blocks
		if _, err := client.Delete(context.Background(), nil); err != nil {
			t.Error(err)
		}
	})
	put(t, client, "events.00000")
	b := client.NewAppendBlobClient("events.00000")
	for key := range most - 2 {
		frame := azureblob.Frame(uint32(key)+1, []byte(theirs[0]))
		if _, err := b.AppendBlock(t.Context(), streaming.NopCloser(bytes.NewReader(frame)), nil); err != nil {
			t.Fatal(err)
		}
	}
	var stores []*daybook.Store
	for range 2 {
		stores = append(stores, daybook.New(open(t, addressAt(service, name), patient()), nil))
	}
	for n := range 6 {
		if _, err := stores[n%2].Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(n)), event(n)); err != nil {
			t.Fatalf("append %d: %v", n, err)
		}
	}
	for _, blob := range []string{"events.00000", "events.00001"} {
		if len(bytesIn(t, client, blob)) == 0 {
			t.Errorf("%s is empty", blob)
		}
	}
	for _, store := range append(stores, daybook.New(open(t, addressAt(service, name), patient()), nil)) {
		if end, err := store.End(t.Context()); err != nil || end != most+4 {
			t.Errorf("the log ends at %d, %v", end, err)
		}
		if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
			t.Error(fmt.Errorf("what was found: %v (%w)", report.Findings, err))
		}
	}
}
