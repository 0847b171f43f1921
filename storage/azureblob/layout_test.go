package azureblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/verify"
)

// theirs are documents as another program writes them, padded to 8 bytes.
var theirs = []string{
	`{"String":"Hello","Type":"StringEvent"} `,
	"{\"String\":\"H€llo\",\"Type\":\"StringEvent\"}       ",
	`{"Real":0.0,"Imaginary":1.0,"Type":"ComplexEvent"}      `,
}

// bare returns a client of a fresh container, without the driver.
func bare(t *testing.T, service, name string) *container.Client {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential("devstoreaccount1", emulatorKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(service+"/"+name, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// put appends blocks to a new append blob.
func put(t *testing.T, client *container.Client, name string, blocks ...[]byte) {
	t.Helper()
	b := client.NewAppendBlobClient(name)
	if _, err := b.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks {
		if _, err := b.AppendBlock(t.Context(), streaming.NopCloser(bytes.NewReader(block)), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// bytesIn returns what a blob holds.
func bytesIn(t *testing.T, client *container.Client, name string) []byte {
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

// written returns the log of another program, in two blobs and with a gap in
// its keys.
func written(t *testing.T, client *container.Client) {
	t.Helper()
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	frame := func(key uint32, i int) []byte { return azureblob.Frame(key, []byte(theirs[i])) }
	put(t, client, "events.00000", append(frame(1, 0), frame(2, 1)...))
	put(t, client, "events.00001", frame(7, 2))
}

// holdsTheirs checks that a store begins with what written wrote.
func holdsTheirs(t *testing.T, store *daybook.Store, stream daybook.StreamID) {
	t.Helper()
	log := records(t, store.ReadStream(t.Context(), stream, daybook.StreamRead{Limit: 3}))
	if len(log) != 3 {
		t.Fatalf("there are %d records", len(log))
	}
	for i, r := range log {
		wantType := []string{"StringEvent", "StringEvent", "ComplexEvent"}[i]
		position := []daybook.Position{1, 2, 7}[i]
		data := bytes.TrimRight([]byte(theirs[i]), " ")
		if r.Version != daybook.Version(i+1) || r.Position != position || r.Type != wantType || !bytes.Equal(r.Data, data) || r.ContentType != daybook.ContentTypeJSON {
			t.Errorf("record %d is version %d at %d, %s %s", i, r.Version, r.Position, r.Type, r.Data)
		}
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("what was found: %v (%v)", report.Findings, err)
	}
}

func TestALogOfAnotherProgramIsOneStreamThatGoesOn(t *testing.T) {
	service, name := serviceURL(t), freshContainer()
	client := bare(t, service, name)
	written(t, client)
	options := patient()
	options.ForeignStream = daybook.StreamID{Partition: "old", Name: "words-1"}
	store := daybook.New(open(t, addressAt(service, name), options), nil)
	holdsTheirs(t, store, options.ForeignStream)
	// Ours stands behind it, in the same stream, and in another.
	for _, stream := range []daybook.StreamID{options.ForeignStream, daybook.Stream("account-1")} {
		if _, err := store.Append(t.Context(), stream, daybook.ExpectAny(), event(0)); err != nil {
			t.Fatal(err)
		}
	}
	// They go on behind ours, and read ours by their rules.
	data := bytesIn(t, client, "events.00001")
	at := int64(len(data))
	if _, err := client.NewAppendBlobClient("events.00001").AppendBlock(t.Context(), streaming.NopCloser(bytes.NewReader(azureblob.Frame(20, []byte(theirs[0])))), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`,"Type":"counted"}`)) || at%4 != 0 {
		t.Errorf("the blob does not hold ours as they read it: %q", data)
	}
	head, err := store.Head(t.Context(), options.ForeignStream)
	if err != nil || head.Version != 5 || head.Position != 20 {
		t.Errorf("behind what they appended the stream ends at %+v, %v", head, err)
	}
	holdsTheirs(t, store, options.ForeignStream)
}

func TestDamageIsToldWhereItIs(t *testing.T) {
	service, name := serviceURL(t), freshContainer()
	client := bare(t, service, name)
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	first, second := azureblob.Frame(1, []byte(theirs[0])), azureblob.Frame(2, []byte(theirs[1]))
	second[20] ^= 4
	put(t, client, "events.00000", first, second)
	store := daybook.New(open(t, addressAt(service, name), patient()), nil)
	var got []daybook.Record
	var failed error
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			failed = err
			break
		}
		got = append(got, record)
	}
	var corrupt *daybook.CorruptError
	if len(got) != 1 || !errors.As(failed, &corrupt) || corrupt.File != "events.00000" || corrupt.Offset != int64(len(first)) || corrupt.Position != 2 {
		t.Errorf("%d records, then %v", len(got), failed)
	}
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(0)); !errors.Is(err, daybook.ErrCorrupt) {
		t.Errorf("an append is answered with %v", err)
	}
}

func TestACompactedLogIsTheSame(t *testing.T) {
	const limit = 3
	g := newGate(serviceURL(t), limit)
	p := proxyTo(t, g)
	name := freshContainer()
	address, options := addressAt(p.url, name), azureblob.WithBlocks(*patient(), limit)
	driver := open(t, address, options)
	store := daybook.New(driver, nil)
	n := 0
	for round := range 3 {
		for range 5 {
			if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(n)); err != nil {
				t.Fatal(err)
			}
			n++
		}
		for again := range 2 {
			done, err := driver.Compact(t.Context())
			if want := fmt.Sprintf("events.%05d.compact", (n-1)/limit-1); err != nil || again == 0 && done.Blob != want || again == 1 && done.Blob != "" {
				t.Fatalf("round %d: compaction answers %+v, %v, want %s once", round, done, err, want)
			}
		}
		p.onCue(nil)
		holds(t, daybook.New(open(t, address, options), nil), n)
		holds(t, store, n)
	}
	// The full append blobs are not needed any more.
	client := bare(t, g.service, name)
	if _, err := client.NewBlobClient("events.00000").Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	late := daybook.New(open(t, address, options), nil)
	if _, err := late.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(daybook.Version(n)), event(n)); err != nil {
		t.Fatal(err)
	}
	holds(t, late, n+1)
}

func TestABackupIsTheBytesAndComesBack(t *testing.T) {
	const limit = 3
	g := newGate(serviceURL(t), limit)
	p := proxyTo(t, g)
	name := freshContainer()
	options := azureblob.WithBlocks(*patient(), limit)
	driver := open(t, addressAt(p.url, name), options)
	store := daybook.New(driver, nil)
	for n := range 7 {
		if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), event(n)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	copied, err := driver.Backup(t.Context(), dir)
	if err != nil || copied.Kept != 0 || copied.LastPosition != 7 {
		t.Fatalf("the backup is %+v, %v", copied, err)
	}
	size := copied.Bytes
	file, err := os.ReadFile(filepath.Join(dir, "stream.bin"))
	client := bare(t, g.service, name)
	var blobs []byte
	for i := range 3 {
		blobs = append(blobs, bytesIn(t, client, fmt.Sprintf("events.%05d", i))...)
	}
	if err != nil || int64(len(file)) != size || !bytes.Equal(file, blobs) {
		t.Errorf("the backup has %d bytes (%v), the blobs have %d", len(file), err, len(blobs))
	}
	fresh := addressAt(p.url, freshContainer())
	// A restore that was cut short is one of the beginning. It goes on.
	begun := t.TempDir()
	if err := os.WriteFile(filepath.Join(begun, "stream.bin"), file[:size/2], 0o600); err != nil {
		t.Fatal(err)
	}
	half, err := azureblob.Restore(t.Context(), begun, fresh, options)
	if err != nil || half.Bytes == 0 || half.Bytes > size/2 {
		t.Fatalf("of half a backup %+v is restored: %v", half, err)
	}
	for _, kept := range []int64{half.Bytes, size} {
		if restored, err := azureblob.Restore(t.Context(), dir, fresh, options); err != nil || restored != (azureblob.Copied{Bytes: size, Kept: kept, LastPosition: 7}) {
			t.Fatalf("%+v of %d bytes is restored: %v", restored, size, err)
		}
	}
	again := daybook.New(open(t, fresh, options), nil)
	holds(t, again, 7)
	if _, err := again.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(7), event(7)); err != nil {
		t.Fatal(err)
	}
	if _, err := azureblob.Restore(t.Context(), dir, fresh, options); !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("restoring over a log that goes further is answered with %v", err)
	}
	holds(t, again, 8)
	opened, err := azureblob.OpenFile(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	holds(t, daybook.New(opened, nil), 7)
}

func TestAFileGoesOnBehindACrash(t *testing.T) {
	dir := t.TempDir()
	frame := azureblob.Frame(1, []byte(theirs[0]))
	for torn := range len(frame) {
		if err := os.WriteFile(filepath.Join(dir, "stream.bin"), append(bytes.Clone(frame), azureblob.Frame(2, []byte(theirs[1]))[:torn]...), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := azureblob.OpenFile(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		store := daybook.New(d, nil)
		if _, err := store.Append(t.Context(), daybook.Stream("events"), daybook.ExpectVersion(1), event(0)); err != nil {
			t.Errorf("behind %d bytes of a torn frame: %v", torn, err)
		}
		if _, err := azureblob.OpenFile(context.Background(), dir, nil); err == nil {
			t.Error("a second one opens the file")
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACopyOfAnotherLogIsMadeAnew(t *testing.T) {
	service, dir := serviceURL(t), t.TempDir()
	for round := range 3 {
		options := patient()
		options.Directory = dir
		d := open(t, addressAt(service, freshContainer()), options)
		store := daybook.New(d, nil)
		for n := range 3 - round {
			if _, err := store.Append(t.Context(), daybook.Stream(fmt.Sprint("log-", round)), daybook.ExpectAny(), event(n)); err != nil {
				t.Fatal(err)
			}
		}
		holds(t, store, 3-round)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
