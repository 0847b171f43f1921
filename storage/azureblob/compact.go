package azureblob

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/daybook-go/daybook"
)

// Compaction says what Compact has done.
type Compaction struct {
	Blob  string // the block blob that holds all but the last append blob; "" if there was nothing to do
	Bytes int64  // that it has
}

// Compact copies all append blobs but the last one, which are full, into one
// block blob, "events.00007.compact" for those up to number 7. Whoever opens
// the store reads that one instead, which costs fewer requests. The bytes stay
// the same, and the append blobs stay too: they may be removed once no program
// that began before reads them.
//
// It may run beside writers, readers and itself: what it makes is the same each
// time, and there whole or not at all. The bytes are checked on the way.
func (d *Driver) Compact(ctx context.Context) (Compaction, error) {
	b, ok := d.origin.(*blobs)
	switch {
	case !ok || b.single != "":
		return Compaction{}, d.unsupported("compaction")
	case d.readOnly:
		return Compaction{}, daybook.ErrReadOnly
	}
	if err := d.begin(); err != nil {
		return Compaction{}, err
	}
	defer d.calls.Done()
	return d.compact(ctx, b)
}

// compactBeside compacts in the background, unless that is on its way already.
// The caller is a call that Close waits for.
func (d *Driver) compactBeside() {
	b, ok := d.origin.(*blobs)
	if !ok || b.single != "" || !d.options.Compact || !d.compacting.CompareAndSwap(false, true) {
		return
	}
	ctx, cancel := context.WithCancel(d.life)
	go func() {
		select {
		case <-d.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	d.calls.Add(1)
	go func() {
		defer d.calls.Done()
		defer d.compacting.Store(false)
		defer cancel()
		_, err := d.compact(ctx, b)
		if err != nil && ctx.Err() == nil && !errors.Is(err, daybook.ErrReadOnly) {
			d.options.Logger.Warn("the blobs could not be compacted", "error", err)
		}
	}()
}

// compact is Compact, within a call.
func (d *Driver) compact(ctx context.Context, b *blobs) (Compaction, error) {
	var extents []extent
	err := d.again(ctx, "listing the blobs", func(ctx context.Context) (err error) {
		extents, err = b.survey(ctx)
		return err
	})
	if err != nil {
		return Compaction{}, err
	}
	extents = extents[:max(len(extents)-1, 0)] // the last one may still grow
	if len(extents) == 0 || len(extents) == 1 && extents[0].name != b.name(extents[0].part) {
		return Compaction{}, nil // what there is, is compacted
	}
	blocks := 0
	for i, e := range extents {
		if missing := d.missingBefore(extents, i); missing >= 0 {
			return Compaction{}, &daybook.CorruptError{File: d.origin.name(missing), Reason: "it is missing, and later ones are there"}
		}
		blocks += int((e.length + maxBlock - 1) / maxBlock)
	}
	if blocks > maxBlocks {
		return Compaction{}, &daybook.LimitError{Field: "blob", Value: startOf(extents, len(extents)), Limit: maxBlocks * maxBlock, Unit: "bytes"}
	}
	name := partName(extents[len(extents)-1].part) + compactSuffix
	done := Compaction{Blob: name, Bytes: startOf(extents, len(extents))}
	if err := d.compactInto(ctx, b, name, extents); err != nil {
		return Compaction{}, err
	}
	return done, nil
}

// compactInto copies extents into a block blob.
func (d *Driver) compactInto(ctx context.Context, b *blobs, name string, extents []extent) error {
	to := b.container.NewBlockBlobClient(name)
	sum := md5.New()
	var ids []string
	var key uint32
	for _, e := range extents {
		var rest []byte
		for offset := int64(0); offset < e.length; {
			var block []byte
			if err := d.again(ctx, "reading the log", func(ctx context.Context) (err error) {
				block, err = b.readBlock(ctx, e, offset)
				return err
			}); err != nil {
				return err
			}
			var bad *damage
			if rest, key, bad = checkFrames(append(rest, block...), key); bad != nil {
				return &daybook.CorruptError{File: e.name, Offset: offset, Reason: bad.reason}
			}
			id := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(len(ids))))
			if err := d.again(ctx, "copying blobs", func(ctx context.Context) error { return stage(ctx, to, id, block) }); err != nil {
				return err
			}
			_, _ = sum.Write(block)
			ids, offset = append(ids, id), offset+int64(len(block))
		}
		if len(rest) > 0 {
			return &daybook.CorruptError{File: e.name, Offset: e.length - int64(len(rest)), Reason: "it ends with a frame that is not whole"}
		}
	}
	return d.again(ctx, "copying blobs", func(ctx context.Context) error { return commit(ctx, to, ids, sum) })
}

// checkFrames checks the frames that data begins with, behind a key. It returns
// what is left, and the last key.
func checkFrames(data []byte, key uint32) (rest []byte, last uint32, bad *damage) {
	for {
		f, err := cutFrame(data)
		switch {
		case err != nil:
			errors.As(err, &bad)
			return nil, key, bad
		case f.size == 0:
			return bytes.Clone(data), key, nil
		case f.key <= key:
			return nil, key, &damage{reason: "the keys of the frames do not rise"}
		}
		data, key = data[f.size:], f.key
	}
}

// readBlock reads up to 4 MiB of an extent.
func (b *blobs) readBlock(ctx context.Context, e extent, offset int64) ([]byte, error) {
	p, err := b.read(ctx, e.name, offset)
	if errors.Is(err, errMissing) {
		return nil, fmt.Errorf("azureblob: %s is gone", e.name)
	}
	if err != nil {
		return nil, err
	}
	defer p.Close()
	block := make([]byte, min(e.length-offset, maxBlock))
	if _, err := io.ReadFull(p, block); err != nil {
		return nil, &brokenReadError{err}
	}
	return block, nil
}

func stage(ctx context.Context, to *blockblob.Client, id string, block []byte) error {
	sum := md5.Sum(block)
	_, err := to.StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(block)), &blockblob.StageBlockOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum[:]),
	})
	return err
}

// commit makes a blob of its blocks, where there is none. Whoever else has made
// it has made the same.
func commit(ctx context.Context, to *blockblob.Client, ids []string, sum hash.Hash) error {
	none, contentType := azcore.ETagAny, "application/octet-stream"
	_, err := to.CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: &contentType, BlobContentMD5: sum.Sum(nil)},
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &none}},
	})
	if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
		return nil
	}
	return err
}
