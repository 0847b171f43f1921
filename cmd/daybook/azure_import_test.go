package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// What names the emulator that the tests use; scripts/services starts it.
const azuriteVariable = "DAYBOOK_AZURITE_TABLE"

// The account of the emulator and its key are published with it.
const emulatorAccount = "AccountName=devstoreaccount1;AccountKey=" +
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

func TestEventsOfAnotherLibraryAreImportedAndGoneOnWith(t *testing.T) {
	endpoint := os.Getenv(azuriteVariable)
	if endpoint == "" {
		t.Skipf("NOT TESTED: importing from Azure, since %s names no emulator: eval \"$(scripts/services start azurite)\"", azuriteVariable)
	}
	domain := fmt.Sprintf("Bank%x", rand.Uint32())
	connection := emulatorAccount + ";TableEndpoint=" + endpoint
	service, err := aztables.NewServiceClientFromConnectionString(connection, nil)
	if err != nil {
		t.Fatal(err)
	}
	table := service.NewClient("Account00" + domain)
	if _, err := table.CreateTable(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = table.Delete(context.Background(), nil) })
	row := func(text string) {
		t.Helper()
		if _, err := table.AddEntity(t.Context(), []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	event := func(key string, number int) {
		t.Helper()
		row(fmt.Sprintf(`{"PartitionKey":%q,"RowKey":"%010d","EventType":"Deposited","Amount":%d}`, key, number, number))
	}
	for _, key := range []string{"A", "B"} {
		row(fmt.Sprintf(`{"PartitionKey":%q,"RowKey":"0000000000","DomainName":%q,"EntityTypeName":"Account","InstanceKey":%q,"LastSequence":3}`, key, domain, key))
	}
	for number := range 3 {
		event("A", number+1)
		event("B", number+1)
	}
	from, to := "azuretable-functions:"+connection+";Domain="+domain+";Only=tables", "file:"+t.TempDir()+"/store"
	for _, step := range []struct {
		appendOnly bool
		said       string
	}{
		{false, "6 records taken in; 6 records of 2 streams the same in both stores, up to position 6\n"},
		{false, "0 records taken in, 6 there already; 6 records of 2 streams the same in both stores, up to position 6\n"},
		{false, "1 record taken in, 6 there already; 7 records of 2 streams the same in both stores, up to position 7\n"},
		{true, "0 records taken in, 7 there already; read back and counted, up to position 7\n"},
	} {
		if strings.HasPrefix(step.said, "1 ") {
			event("A", 5) // a write was refused before it
		}
		var out, complaints bytes.Buffer
		p := &program{store: to, stdout: &out, stderr: &complaints, getenv: func(string) string { return "" }}
		if err := p.importLog(t.Context(), importFlags{from: from, appendOnly: step.appendOnly}); err != nil {
			t.Fatalf("%v, %s", err, complaints.String())
		}
		if out.String() != step.said {
			t.Errorf("said %q, want %q", out.String(), step.said)
		}
	}
}
