package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onAzure returns the URLs of fresh stores on the emulator, by kind.
func onAzure(t *testing.T) map[string]string {
	t.Helper()
	tables, blobs := os.Getenv("DAYBOOK_AZURITE_TABLE"), os.Getenv("DAYBOOK_AZURITE_BLOB")
	if tables == "" || blobs == "" {
		t.Skip("NOT TESTED: stores on Azure, since DAYBOOK_AZURITE_TABLE or DAYBOOK_AZURITE_BLOB names no emulator: eval \"$(scripts/services start azurite)\"")
	}
	name := func() string { return fmt.Sprintf("cli%x", rand.Uint64()) }
	return map[string]string{
		"azuretable": "azuretable:" + emulatorAccount + ";TableEndpoint=" + tables + ";Table=" + name(),
		"azureblob":  "azureblob:" + emulatorAccount + ";BlobEndpoint=" + blobs + ";Container=" + name(),
		"order":      "azuretable:" + emulatorAccount + ";TableEndpoint=" + tables + ";Table=" + name(),
	}
}

// routed writes a file that sends accounts into a table, all else onto blobs.
func routed(t *testing.T, stores map[string]string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"stores": []map[string]string{{"name": "tables", "url": stores["azuretable"]}, {"name": "blobs", "url": stores["azureblob"]}},
		"order":  stores["order"],
		"rules":  []map[string]string{{"streams": "ALL.account", "store": "tables"}, {"streams": "ALL.ALL", "store": "blobs"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stores.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return "router:" + file
}

func TestStoresOnAzureWorkInEverySubcommandAndShowNoKey(t *testing.T) {
	stores := onAzure(t)
	urls := map[string]string{"azuretable": stores["azuretable"], "azureblob": stores["azureblob"], "router": routed(t, onAzure(t))}
	const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1"
	for kind, url := range urls {
		t.Run(kind, func(t *testing.T) {
			copied := t.TempDir() + "/copy"
			for _, step := range []struct {
				args []string
				exit int
				said string
			}{
				{[]string{"append", "account-1", "--type", "opened"}, 0, "position"},
				{[]string{"append", "note-1", "--type", "written"}, 0, "position"},
				{[]string{"append", "account-1", "--type", "deposited", "--expect", "version:1"}, 0, "version 2"},
				{[]string{"append", "account-1", "--type", "deposited", "--expect", "version:1"}, 3, "found version 2"},
				{[]string{"append", "account-1", "--type", "deposited", "--durability", "disk", "--claim", "a=b", "--json"}, -1, ""},
				{[]string{"read", "account-1"}, 0, "deposited"},
				{[]string{"log"}, 0, "note-1"},
				{[]string{"streams"}, 0, "note-1"},
				{[]string{"stats"}, 0, "streams"},
				{[]string{"verify"}, 0, ""},
				{[]string{"migrate"}, -1, ""},
				{[]string{"backup", "--to", copied + "-backup"}, -1, ""},
				{[]string{"import", "--from", url, "--store", "file:" + copied}, 0, "the same in both stores"},
			} {
				var out, complaints bytes.Buffer
				p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &complaints, getenv: func(string) string { return url }}
				exit := p.run(t.Context(), step.args)
				all := out.String() + complaints.String()
				if step.exit >= 0 && exit != step.exit || !strings.Contains(all, step.said) || strings.Contains(all, key) {
					t.Errorf("%v ends with %d, want %d, and says %q, want %q without the key", step.args, exit, step.exit, all, step.said)
				}
			}
		})
	}
}
