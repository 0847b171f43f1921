package azuretable_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestAnAppendAsLargeAsTheLimitsSayFitsIntoABatchOfTheService(t *testing.T) {
	d := open(t, freshURL(t), nil)
	store := daybook.New(d, nil)
	limits := d.Limits()
	if limits.AppendBytes < 2_000_000 {
		t.Errorf("the limits are %+v: a page has room for more", limits)
	}
	// Bytes that are worst to send: none of them is text.
	data := bytes.Repeat([]byte{0xff, 0}, int(limits.AppendBytes-100)/2)
	if _, err := store.Append(t.Context(), daybook.Stream("large-1"), daybook.ExpectNone(), daybook.Event{Type: "kept", Data: data}); err != nil {
		t.Fatal(err)
	}
	// In one row it does not fit, in several of a batch it does.
	var many []daybook.Event
	for range 30 {
		many = append(many, daybook.Event{Type: "kept", Data: []byte(strings.Repeat("é\n<", 16_000))})
	}
	if _, err := store.Append(t.Context(), daybook.Stream("large-1"), daybook.ExpectVersion(1), many...); err != nil {
		t.Fatal(err)
	}
	// A header that does not fit into rows.
	wide := daybook.Changeset{Stream: daybook.Stream("wide-1"), Events: []daybook.Event{event("kept"), event("kept")}, Metadata: bytes.Repeat([]byte("m"), 100_000)}
	if _, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{wide}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil { // which settles
		t.Fatal(err)
	}
}

func TestAnAppendThatNoPageHoldsIsRefusedBeforeItIsSent(t *testing.T) {
	p := newProxy(t)
	d := open(t, urlOf(p.endpoint(), freshTable(t)), nil)
	p.take()
	// The store's limits are passed over: a driver must hold its own.
	_, err := d.Append(t.Context(), daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{
		{Stream: daybook.Stream("large-1"), Events: []daybook.Event{{ID: daybook.NewID(), Type: "kept", Data: make([]byte, 4<<20)}}},
	}})
	var limit *daybook.LimitError
	if !errors.As(err, &limit) || len(p.take()) > 0 {
		t.Errorf("an append that is too large was answered with %v, want a *LimitError and no request", err)
	}
}

func TestRecordsTooLargeForARowComeBackFromTheirPage(t *testing.T) {
	address := freshURL(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	sizes := []int{10, 950_000, 1_500_000, 40_000, 899_000}
	for i, size := range sizes {
		e := daybook.Event{Type: "kept", Data: bytes.Repeat([]byte{byte('a' + i)}, size)}
		if _, err := store.Append(t.Context(), daybook.Stream("large-1"), daybook.ExpectVersion(daybook.Version(i)), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil { // which settles, so that rows are read below
		t.Fatal(err)
	}
	again := daybook.New(open(t, address, nil), nil)
	for _, backwards := range []bool{false, true} {
		got := records(t, again.ReadStream(t.Context(), daybook.Stream("large-1"), daybook.StreamRead{Backwards: backwards}))
		if len(got) != len(sizes) {
			t.Fatalf("the stream has %d records, want %d", len(got), len(sizes))
		}
		for _, r := range got {
			i := int(r.Version) - 1
			if !bytes.Equal(r.Data, bytes.Repeat([]byte{byte('a' + i)}, sizes[i])) {
				t.Errorf("version %d has %d bytes of other data, want %d", r.Version, len(r.Data), sizes[i])
			}
		}
	}
}

func TestURLsThatAreWrongAreToldWithoutTheirSecrets(t *testing.T) {
	for _, address := range []string{
		"azuretable:AccountName=a;AccountKey=c2VjcmV0;Table=x y", "azuretable:AccountName=a;AccountKey=secret!;Table=daybook", "azuretable:AccountKey=c2VjcmV0;Table=daybook",
		"azuretable:AccountName=a;Table=daybook", "azuretable:secret", "table:AccountKey=c2VjcmV0", "azuretable://a.table.core.windows.net/?sig=c2VjcmV0", "azuretable:",
	} {
		_, err := openOnly(t, address)
		if !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%q was answered with %v, want an *InvalidError", address, err)
		} else if strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}
