package azureblob_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/verify"
)

// foreignWriter appends to a log by the rules of the layout alone, as another
// library does: it knows the last blob, how long it is, and the last key.
type foreignWriter struct {
	client *container.Client
	part   int
}

// append appends one document behind whatever is there.
func (w *foreignWriter) append(ctx context.Context, document string) error {
	for len(document)%8 != 0 {
		document += " "
	}
	for {
		b := w.client.NewAppendBlobClient(fmt.Sprintf("events.%05d", w.part))
		end, key, err := w.end(ctx)
		if bloberror.HasCode(err, bloberror.BlobNotFound) {
			none := azcore.ETagAny
			_, err = b.Create(ctx, &appendblob.CreateOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &none}}})
			if err != nil && !bloberror.HasCode(err, bloberror.BlobAlreadyExists) {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		_, err = b.AppendBlock(ctx, streaming.NopCloser(bytes.NewReader(azureblob.Frame(key+1, []byte(document)))), &appendblob.AppendBlockOptions{
			AppendPositionAccessConditions: &appendblob.AppendPositionAccessConditions{AppendPosition: &end},
		})
		switch {
		case bloberror.HasCode(err, bloberror.AppendPositionConditionNotMet):
		case bloberror.HasCode(err, bloberror.BlockCountExceedsLimit):
			if now, _, err := w.end(ctx); err != nil || now == end {
				w.part++ // all of it was read
			}
		default:
			return err
		}
	}
}

// end returns how long the last blob is, and the last key of the log, found from
// its end.
func (w *foreignWriter) end(ctx context.Context) (end int64, key uint32, err error) {
	for part := w.part; part >= 0; part-- {
		response, err := w.client.NewBlobClient(fmt.Sprintf("events.%05d", part)).DownloadStream(ctx, nil)
		if err != nil {
			return 0, 0, err
		}
		var data bytes.Buffer
		_, err = data.ReadFrom(response.Body)
		if err != nil {
			return 0, 0, err
		}
		if part == w.part {
			end = int64(data.Len())
		}
		if n := data.Len(); n > 0 {
			last := n - 12 - 8*int(binary.LittleEndian.Uint16(data.Bytes()[n-2:]))
			return end, binary.LittleEndian.Uint32(data.Bytes()[last+2:]), nil
		}
	}
	return end, 0, nil
}

func TestAnotherLibraryWritesAndRollsOverBesideOurs(t *testing.T) {
	const limit, each = 4, 12
	g := newGate(serviceURL(t), limit)
	p := proxyTo(t, g)
	name := freshContainer()
	options := azureblob.WithBlocks(*patient(), limit)
	ours := []*daybook.Store{daybook.New(open(t, addressAt(p.url, name), options), nil), daybook.New(open(t, addressAt(p.url, name), options), nil)}
	client := bare(t, p.url, name)
	var waiting sync.WaitGroup
	for w, store := range ours {
		waiting.Go(func() {
			for i := range each {
				if _, err := store.Append(context.Background(), daybook.Stream(fmt.Sprint("ours-", w)), daybook.ExpectVersion(daybook.Version(i)), event(i)); err != nil {
					t.Errorf("event %d of ours: %v", i, err)
					return
				}
			}
		})
	}
	waiting.Go(func() {
		writer := foreignWriter{client: client}
		for i := range each {
			if err := writer.append(context.Background(), fmt.Sprintf(`{"n":%d,"Type":"Theirs"}`, i)); err != nil {
				t.Errorf("event %d of theirs: %v", i, err)
				return
			}
		}
	})
	waiting.Wait()
	for _, store := range append(ours, daybook.New(open(t, addressAt(p.url, name), options), nil)) {
		for stream, want := range map[string]string{"ours-0": `{"n":%d}`, "ours-1": `{"n":%d}`, "events": `{"n":%d,"Type":"Theirs"}`} {
			got := records(t, store.ReadStream(t.Context(), daybook.Stream(stream), daybook.StreamRead{}))
			if len(got) != each {
				t.Errorf("stream %s has %d records, want %d", stream, len(got), each)
			}
			for i, r := range got {
				if string(r.Data) != fmt.Sprintf(want, i) {
					t.Errorf("record %d of stream %s is %s", i, stream, r.Data)
				}
			}
		}
		if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
			t.Errorf("what was found: %v (%v)", report.Findings, err)
		}
	}
}

// TestRollOverUnderFaultsLosesAndDoublesNothing lets every kind of request fail
// in every way, now and then. DAYBOOK_SEED repeats a run.
func TestRollOverUnderFaultsLosesAndDoublesNothing(t *testing.T) {
	const limit, writers, each = 3, 3, 8
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	g := newGate(serviceURL(t), limit)
	name := freshContainer()
	options := azureblob.WithBlocks(*patient(), limit)
	var stores []*daybook.Store
	for w := range writers {
		p := proxyTo(t, g)
		stores = append(stores, daybook.New(open(t, addressAt(p.url, name), options), nil))
		chance := rand.New(rand.NewPCG(seed, uint64(w)))
		p.onCue(func(string, int) fault { // one request after the other
			faults := []fault{{lost: true}, {cut: true}, {half: true}, {status: 503, code: "ServerBusy"}, {status: 500, code: "OperationTimedOut"}}
			if n := chance.IntN(30); n < len(faults) {
				return faults[n]
			}
			return fault{}
		})
	}
	var waiting sync.WaitGroup
	for w, store := range stores {
		waiting.Go(func() {
			for i := range each {
				receipt, err := store.Append(context.Background(), daybook.Stream(fmt.Sprint("writer-", w)), daybook.ExpectVersion(daybook.Version(i)), event(i))
				if err != nil || receipt.Repeated {
					t.Errorf("writer %d, event %d: %+v, %v", w, i, receipt, err)
					return
				}
			}
		})
	}
	waiting.Wait()
	for _, store := range append(stores, daybook.New(open(t, addressAt(g.service, name), options), nil)) {
		for w := range writers {
			if got := records(t, store.ReadStream(t.Context(), daybook.Stream(fmt.Sprint("writer-", w)), daybook.StreamRead{})); len(got) != each {
				t.Errorf("the stream of writer %d has %d records, want %d", w, len(got), each)
			}
		}
		if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
			t.Errorf("what was found: %v (%v)", report.Findings, err)
		}
	}
}
