package postgres_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"github.com/daybook-go/daybook"
)

// serverOnSmallDisk returns a server whose tables lie in a small file system, and
// where that is mounted.
func serverOnSmallDisk(t *testing.T) (*server, string) {
	t.Helper()
	server := ownServer(t)
	small := filepath.Join(filepath.Dir(server.data), "small")
	server.own(t, small)
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("NOT TESTED: a full disk: a small one cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		server.stop(syscall.SIGINT)
		if err := syscall.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	server.own(t, small)
	space := filepath.Join(small, "space")
	server.own(t, space)
	console := connect(t, server.url())
	execute(t, console, "CREATE TABLESPACE small LOCATION '"+space+"'")
	execute(t, console, "ALTER DATABASE postgres SET default_tablespace = 'small'")
	return server, small
}

func TestAFullDiskRefusesAppendsUntilThereIsRoom(t *testing.T) {
	random := randomOf(t)
	server, small := serverOnSmallDisk(t)
	store := daybook.New(open(t, server.url(), nil), nil)

	var acknowledged []daybook.Append
	grow := func() (daybook.Append, error) {
		a := oneEvent("account-1", "deposited", daybook.ExpectVersion(daybook.Version(len(acknowledged))))
		data := make([]byte, 100_000) // it cannot be compressed
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		a.Changesets[0].Events[0].ContentType, a.Changesets[0].Events[0].Data = "application/octet-stream", data
		_, err := store.AppendAll(t.Context(), a)
		return a, err
	}
	var refused daybook.Append
	for {
		a, err := grow()
		if err != nil {
			if refused = a; !errors.Is(err, daybook.ErrFull) {
				t.Fatalf("behind %d appends a full disk says %v, want ErrFull", len(acknowledged), err)
			}
			break
		}
		if acknowledged = append(acknowledged, a); len(acknowledged) > 1000 {
			t.Fatal("the disk does not get full")
		}
	}
	check := func(when string) {
		t.Helper()
		got := records(t, store.ReadLog(t.Context(), daybook.LogRead{}))
		if len(got) != len(acknowledged) {
			t.Fatalf("%s the log has %d records, %d were acknowledged", when, len(got), len(acknowledged))
		}
		for i := range got {
			if !reflect.DeepEqual(got[i].Data, acknowledged[i].Changesets[0].Events[0].Data) {
				t.Fatalf("%s record %d is not what was appended", when, i)
			}
		}
	}
	check("while the disk is full")
	if err := syscall.Mount("tmpfs", small, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if receipt, err := store.AppendAll(t.Context(), refused); err != nil || receipt.Repeated {
		t.Fatalf("with room again the refused append is answered with %+v (%v)", receipt, err)
	}
	acknowledged = append(acknowledged, refused)
	for range 10 {
		a, err := grow()
		if err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, a)
	}
	check("with room again")
	server.stop(syscall.SIGKILL)
	server.start(t)
	check("after a crash")
}
