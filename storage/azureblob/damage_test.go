package azureblob_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
)

func TestABlobThatIsMissingIsDamage(t *testing.T) {
	frame := func(key uint32) []byte { return azureblob.Frame(key, []byte(theirs[0])) }
	for name, c := range map[string]struct {
		blobs   []string
		missing string
		records int
	}{
		"the first one":        {[]string{"events.00001"}, "events.00000", 0},
		"one between":          {[]string{"events.00000", "events.00002"}, "events.00001", 1},
		"one behind compacted": {[]string{"events.00001.compact", "events.00003"}, "events.00002", 1},
	} {
		t.Run(name, func(t *testing.T) {
			service, container := serviceURL(t), freshContainer()
			client := bare(t, service, container)
			if _, err := client.Create(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			for i, blob := range c.blobs {
				put(t, client, blob, frame(uint32(i+1)))
			}
			driver := open(t, addressAt(service, container), patient())
			store := daybook.New(driver, nil)
			records := 0
			var failed error
			for _, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
				if failed = err; err == nil {
					records++
				}
			}
			var corrupt *daybook.CorruptError
			if records != c.records || !errors.As(failed, &corrupt) || corrupt.File != c.missing || corrupt.Position != daybook.Position(records+1) {
				t.Errorf("%d records, then %v", records, failed)
			}
			if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), event(0)); !errors.Is(err, daybook.ErrCorrupt) {
				t.Errorf("an append is answered with %v", err)
			}
			put(t, client, "events.00009", frame(9))
			if _, err := driver.Compact(t.Context()); !errors.Is(err, daybook.ErrCorrupt) {
				t.Errorf("compaction is answered with %v", err)
			}
		})
	}
}

// The copy in a directory may be all that is left of a blob that somebody has
// removed.
func TestACopyOutlivesABlobThatIsMissing(t *testing.T) {
	service, container := serviceURL(t), freshContainer()
	client := bare(t, service, container)
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	frame := func(key uint32) []byte { return azureblob.Frame(key, []byte(theirs[0])) }
	for i := range 3 {
		put(t, client, fmt.Sprintf("events.%05d", i), frame(uint32(i+1)))
	}
	options := patient()
	options.Directory = t.TempDir()
	for round, want := range []error{nil, daybook.ErrCorrupt, nil} {
		driver := open(t, addressAt(service, container), options)
		if _, err := driver.End(t.Context()); !errors.Is(err, want) {
			t.Errorf("round %d: it ends with %v, want %v", round, err, want)
		}
		if err := driver.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(options.Directory, "stream.bin"))
		if err != nil || !bytes.Equal(data, slices.Concat(frame(1), frame(2), frame(3))) {
			t.Errorf("round %d: the copy has %d bytes, %v", round, len(data), err)
		}
		switch round {
		case 0:
			if _, err := client.NewBlobClient("events.00001").Delete(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		case 1:
			put(t, client, "events.00001", frame(2))
		}
	}
}

func TestWhatStandsInFrontOfDamageIsReadBothWays(t *testing.T) {
	service, container := serviceURL(t), freshContainer()
	client := bare(t, service, container)
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	broken := azureblob.Frame(3, []byte(theirs[0]))
	broken[20] ^= 4
	put(t, client, "events.00000", azureblob.Frame(1, []byte(theirs[0])), azureblob.Frame(2, []byte(theirs[1])), broken, azureblob.Frame(4, []byte(theirs[0])))
	store := daybook.New(open(t, addressAt(service, container), patient()), nil)
	for _, backwards := range []bool{false, true} {
		if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{To: 2, Backwards: backwards})); len(got) != 2 {
			t.Errorf("backwards %t: the log has %d records up to 2", backwards, len(got))
		}
		if got := records(t, store.ReadStream(t.Context(), daybook.Stream("events"), daybook.StreamRead{To: 2, Backwards: backwards})); len(got) != 2 {
			t.Errorf("backwards %t: the stream has %d records up to 2", backwards, len(got))
		}
		for range 2 {
			var failed error
			for _, err := range store.ReadLog(t.Context(), daybook.LogRead{To: 3, Backwards: backwards}) {
				failed = err
			}
			if !errors.Is(failed, daybook.ErrCorrupt) {
				t.Errorf("backwards %t: reading beyond ends with %v", backwards, failed)
			}
		}
	}
}

// A program that has stored an append, and has no room to remember it, must not
// say that it was refused.
func TestAnAppendThatTheCopyHasNoRoomForIsOfUnknownOutcome(t *testing.T) {
	service, container := serviceURL(t), freshContainer()
	options := patient()
	options.Directory = t.TempDir()
	driver := open(t, addressAt(service, container), options)
	store := daybook.New(driver, nil)
	appendTo(t, store, 0)
	mend := azureblob.BreakCopy(driver)
	a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("account-1"), Expect: daybook.ExpectVersion(1), Events: []daybook.Event{event(1)}}}}
	if _, err := store.AppendAll(t.Context(), a); err == nil || errors.Is(err, daybook.ErrRefused) || !errors.Is(err, daybook.ErrFailed) {
		t.Errorf("it is answered with %v, want an unknown outcome", err)
	}
	mend()
	receipt, err := store.AppendAll(t.Context(), a)
	if err != nil || !receipt.Repeated || receipt.Changesets[0].Last != 2 {
		t.Errorf("the repeat is answered with %+v, %v", receipt, err)
	}
	holds(t, store, 2)
}
