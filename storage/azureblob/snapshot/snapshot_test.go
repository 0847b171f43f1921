package snapshot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/azureblob/snapshot"
	"github.com/daybook-go/daybook/storage/memory"
)

const emulatorKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// fresh returns a container that nobody has.
func fresh(t *testing.T) *container.Client {
	t.Helper()
	service := os.Getenv("DAYBOOK_AZURITE_BLOB")
	if service == "" {
		t.Skip("NOT TESTED: snapshots in blobs, since DAYBOOK_AZURITE_BLOB is not set: eval \"$(scripts/services start azurite)\"")
	}
	key, err := container.NewSharedKeyCredential("devstoreaccount1", emulatorKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(service+"/s"+strings.ReplaceAll(uuid.NewString(), "-", ""), key, nil)
	if err == nil {
		_, err = client.Create(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clock is a clock that stands.
func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func read(t *testing.T, client *container.Client, name string) []byte {
	t.Helper()
	response, err := client.NewBlobClient(name).DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestASnapshotIsThatOfTheFormat(t *testing.T) {
	client := fresh(t)
	store := snapshot.New(client, &snapshot.Options{Now: clock, Source: "theirs"})
	if err := store.Save(t.Context(), livestate.Snapshot{Fold: "counts-1", Source: "stream \"wörds\"", ContentType: "text/plain", Data: []byte("0")}); err != nil {
		t.Fatal(err)
	}
	if data := read(t, client, "counts-1/20260304050607"); !bytes.Equal(data, []byte{0, 0, 0, 0, '0', 0, 0, 0, 0}) {
		t.Errorf("it is written as %x", data)
	}
	// Of another program, in the next second.
	if _, err := client.NewBlockBlobClient("counts-1/20260304050608").UploadBuffer(t.Context(), []byte("\x02\x00\x00\x000000\x02\x00\x00\x00"), nil); err != nil {
		t.Fatal(err)
	}
	for i, damaged := range []string{"\x02\x00\x00\x000000\x03\x00\x00\x00", "\x02\x00"} {
		if _, err := client.NewBlockBlobClient("counts-1/2026030405070"+fmt.Sprint(i)).UploadBuffer(t.Context(), []byte(damaged), nil); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for s, err := range store.Load(t.Context(), "counts-1") {
		if err != nil {
			got = append(got, "damaged")
			continue
		}
		got = append(got, fmt.Sprintf("%s %d %s %s", s.Source, s.Position, s.ContentType, s.Data))
	}
	if want := "damaged damaged theirs 2 application/json 0000 stream \"wörds\" 0 text/plain 0"; strings.Join(got, " ") != want {
		t.Errorf("they are read as %q", got)
	}
}

func TestSoManySnapshotsAreKept(t *testing.T) {
	client := fresh(t)
	store := snapshot.New(client, &snapshot.Options{Now: clock, Keep: 2})
	for n := range 4 {
		for _, fold := range []string{"a-1", "b-1"} {
			if err := store.Save(t.Context(), livestate.Snapshot{Fold: fold, Position: daybook.Position(n) + 1<<40, Data: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []daybook.Position
	for s, err := range store.Load(t.Context(), "a-1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s.Position-1<<40)
	}
	if fmt.Sprint(got) != "[3 2]" {
		t.Errorf("what is kept is %v", got)
	}
}

type visited struct{ Name string }

var events = codec.Must(codec.New[visited](codec.Event[visited]("visited")))

func TestALiveStateBeginsFromItsSnapshot(t *testing.T) {
	client := fresh(t)
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	stream := daybook.Stream("guests-1")
	begin := func() (*livestate.Service[visited], *livestate.Fold[int, visited]) {
		fold := livestate.NewFold("visits-1", func() int { return 0 }, func(n int, _ visited) int { return n + 1 }, nil)
		service, err := livestate.Start(store, livestate.OfStream(stream), events, []livestate.Folder[visited]{fold}, &livestate.Options[visited]{Snapshots: snapshot.New(client, nil)})
		if err == nil {
			err = service.Ready(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return service, fold
	}
	add := func(n int) {
		for range n {
			data, _ := json.Marshal(visited{"Ann"})
			if _, err := store.Append(context.Background(), stream, daybook.ExpectAny(), daybook.Event{Type: "visited", Data: data}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(5)
	service, _ := begin()
	if err := service.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	service.Close()
	add(2)
	service, fold := begin()
	defer service.Close()
	state, err := service.Current(t.Context())
	if err != nil || fold.Of(state) != 7 || service.Progress().Records != 2 {
		t.Errorf("it counts %d and has folded %d records, %v", fold.Of(state), service.Progress().Records, err)
	}
}
