package azureblob

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// blobs is a log in the append blobs of a container.
type blobs struct {
	container *container.Client
	single    string        // the only blob; "" where there are many
	blocks    int           // how many blocks an append blob takes
	timeout   time.Duration // without any progress, of one request
}

// The names of blobs: the number of an append blob has five digits, and a block
// blob that holds all up to one is named after that.
const (
	partPrefix    = "events."
	partDigits    = 5
	lastPart      = 99_999
	compactSuffix = ".compact"
)

func partName(part int) string { return fmt.Sprintf("%s%0*d", partPrefix, partDigits, part) }

// partOf returns the number in the name of an append blob.
func partOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, partPrefix)
	if !ok || len(digits) != partDigits || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	part, err := strconv.Atoi(digits)
	return part, err == nil
}

func (b *blobs) name(part int) string {
	if b.single != "" {
		return b.single
	}
	return partName(part)
}

func (b *blobs) last() int {
	if b.single != "" {
		return 0
	}
	return lastPart
}

// survey lists the blobs of the log: the newest compacted one, and the append
// blobs behind it.
func (b *blobs) survey(ctx context.Context) ([]extent, error) {
	prefix := partPrefix
	if b.single != "" {
		prefix = b.single
	}
	var parts []extent
	var compacted *extent
	pager := b.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := b.nextPage(ctx, pager)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Segment.BlobItems {
			e := extent{name: *item.Name}
			if item.Properties != nil && item.Properties.ContentLength != nil {
				e.length = *item.Properties.ContentLength
			}
			if b.single != "" {
				if e.name == b.single {
					return []extent{e}, nil
				}
				continue
			}
			var ok bool
			before, isCompact := strings.CutSuffix(e.name, compactSuffix)
			if e.part, ok = partOf(before); !ok {
				continue
			}
			if !isCompact {
				parts = append(parts, e)
			} else if compacted == nil || e.part > compacted.part {
				compacted = &e
			}
		}
	}
	slices.SortFunc(parts, func(x, y extent) int { return x.part - y.part })
	if compacted != nil {
		parts = slices.DeleteFunc(parts, func(e extent) bool { return e.part <= compacted.part })
		parts = slices.Insert(parts, 0, *compacted)
	}
	return parts, nil
}

func (b *blobs) nextPage(ctx context.Context, pager pager) (container.ListBlobsFlatResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return pager.NextPage(ctx)
}

// pager is that of the SDK for blobs.
type pager interface {
	NextPage(context.Context) (container.ListBlobsFlatResponse, error)
}

// read implements origin.
func (b *blobs) read(ctx context.Context, name string, offset int64) (*piece, error) {
	ctx, cancel := context.WithCancel(ctx)
	watch := time.AfterFunc(b.timeout, cancel)
	give := func(body io.ReadCloser) io.ReadCloser {
		return &watched{ReadCloser: body, watch: watch, timeout: b.timeout, cancel: cancel}
	}
	response, err := b.container.NewBlobClient(name).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset}})
	if err != nil {
		defer cancel()
		watch.Stop()
		if bloberror.HasCode(err, bloberror.BlobNotFound) {
			return nil, errMissing
		}
		var from *azcore.ResponseError
		if errors.As(err, &from) && from.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			// Nothing stands there.
			length, full := b.behindEnd(from.RawResponse)
			return &piece{ReadCloser: http.NoBody, length: length, full: full}, nil
		}
		return nil, err
	}
	p := &piece{ReadCloser: give(response.Body), length: -1}
	if response.ContentRange != nil {
		p.length = lengthIn(*response.ContentRange)
	} else if offset == 0 && response.ContentLength != nil {
		p.length = *response.ContentLength
	}
	if response.BlobCommittedBlockCount != nil {
		p.full = int(*response.BlobCommittedBlockCount) >= b.blocks
	}
	return p, nil
}

// behindEnd reads from the answer to a read behind the end of a blob what it
// tells of the blob.
func (b *blobs) behindEnd(response *http.Response) (length int64, full bool) {
	if response == nil {
		return -1, false
	}
	count, err := strconv.Atoi(response.Header.Get("x-ms-blob-committed-block-count"))
	return lengthIn(response.Header.Get("Content-Range")), err == nil && count >= b.blocks
}

// lengthIn returns the length behind the slash of "bytes 0-9/100"; -1 where
// there is none.
func lengthIn(contentRange string) int64 {
	_, text, _ := strings.Cut(contentRange, "/")
	length, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return length
}

// watched ends a read that makes no progress.
type watched struct {
	io.ReadCloser
	watch   *time.Timer
	timeout time.Duration
	cancel  context.CancelFunc
}

func (w *watched) Read(data []byte) (int, error) {
	w.watch.Reset(w.timeout)
	return w.ReadCloser.Read(data)
}

func (w *watched) Close() error {
	w.watch.Stop()
	defer w.cancel()
	return w.ReadCloser.Close()
}

// append implements origin. The SDK repeats nothing: see New in address.go.
func (b *blobs) append(ctx context.Context, part int, offset int64, block []byte) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	sum := md5.Sum(block)
	response, err := b.container.NewAppendBlobClient(b.name(part)).AppendBlock(ctx, streaming.NopCloser(bytes.NewReader(block)), &appendblob.AppendBlockOptions{
		TransactionalValidation:        blob.TransferValidationTypeMD5(sum[:]),
		AppendPositionAccessConditions: &appendblob.AppendPositionAccessConditions{AppendPosition: &offset},
	})
	switch {
	case bloberror.HasCode(err, bloberror.AppendPositionConditionNotMet):
		return false, errMoved
	case bloberror.HasCode(err, bloberror.BlockCountExceedsLimit):
		return false, errFull
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return false, errMissing
	case err != nil:
		return false, err
	}
	return response.BlobCommittedBlockCount != nil && int(*response.BlobCommittedBlockCount) >= b.blocks, nil
}

// create implements origin. Whoever else has made the blob meanwhile is welcome:
// it is never made anew, which would lose what was written to it.
func (b *blobs) create(ctx context.Context, part int) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	none := azcore.ETagAny
	contentType := "application/octet-stream"
	_, err := b.container.NewAppendBlobClient(b.name(part)).Create(ctx, &appendblob.CreateOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &none}},
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: &contentType},
	})
	if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
		return nil
	}
	return err
}
