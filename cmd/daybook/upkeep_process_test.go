package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/remote"
)

// A process that follows the files of a store misses nothing while the server of
// these deletes and compacts without a pause.
func TestFollowerOfFilesGoesOnWhileTheirServerCompacts(t *testing.T) {
	dir := t.TempDir()
	server, err := startServer(dir, "file:daybook-data", "--retain", "guest=2", "--retain-every", "5ms", "--compact", "5ms", "--compact-rate", "1000000000")
	if err != nil {
		t.Fatal(err)
	}
	defer server.kill()
	driver, err := remote.Open(server.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()

	follower := exec.CommandContext(t.Context(), "daybook", "log", "--follow", "--json", "--stream-type", "account")
	follower.Dir, follower.Env = dir, append(os.Environ(), storeVariable+"=")
	var told strings.Builder
	follower.Stderr = &told
	out, err := follower.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	defer follower.Process.Kill()
	lines := bufio.NewReader(out)
	for n := range 60 {
		account := daybook.Event{Type: "counted", Data: fmt.Appendf(nil, "%d", n)}
		if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(n)), account); err != nil {
			t.Fatal(err)
		}
		guests := make([]daybook.Event, 5)
		for i := range guests {
			guests[i] = daybook.Event{Type: "came", Data: []byte(`"secret"`)}
		}
		if _, err := store.Append(t.Context(), daybook.Stream(fmt.Sprint("guest-", n%4)), daybook.ExpectAny(), guests...); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadBytes('\n')
		var record struct {
			Version int
			Data    int
		}
		if err != nil || json.Unmarshal(line, &record) != nil || record.Version != n+1 || record.Data != n {
			t.Fatalf("the follower says %q, %v, %s; want number %d", line, err, told.String(), n)
		}
		if n%20 == 19 {
			run(t, dir, "verify")
		}
	}
	if err := server.interrupt(); err != nil {
		t.Fatal(err, server.log())
	}
	compacted, err := filepath.Glob(filepath.Join(dir, "daybook-data", "*.*.segment"))
	if err != nil || len(compacted) == 0 || strings.Contains(server.log(), `"level":"ERROR"`) {
		t.Errorf("%d segments were compacted, %v: %s", len(compacted), err, server.log())
	}
	report, err := disk.Check(t.Context(), filepath.Join(dir, "daybook-data"), &disk.CheckOptions{Deep: true})
	if err != nil || !report.OK() {
		t.Errorf("check: %v, %v", report.Problems, err)
	}
}
