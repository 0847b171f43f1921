// Package snapshot keeps snapshots of live states as blobs of an Azure storage
// container, in the layout of Lokad.AzureEventStore: <fold>/<yyyyMMddHHmmss>,
// the position, the state and the position again. Give what New returns to
// livestate.Options.Snapshots.
package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/livestate"
)

// Options of a store of snapshots. Nil and zero fields mean the defaults.
type Options struct {
	// Keep is how many snapshots of a fold are kept, the newest. Default 100.
	Keep int
	// Source is what a snapshot is said to be folded from whose blob does not
	// tell: one of another program. Default "": then such ones are passed over.
	Source string
	// Now is the clock that names blobs. Default time.Now.
	Now func() time.Time
}

// New returns a store of snapshots in a container, which must be there. What the
// layout has no room for stands in the metadata of the blobs.
func New(in *container.Client, options *Options) livestate.SnapshotStore {
	s := &blobs{container: in}
	if options != nil {
		s.options = *options
	}
	if s.options.Keep <= 0 {
		s.options.Keep = 100
	}
	if s.options.Now == nil {
		s.options.Now = time.Now
	}
	return s
}

type blobs struct {
	container *container.Client
	options   Options
}

// timeLayout names a blob by the second in which it is written.
const timeLayout = "20060102150405"

// The metadata of a blob. The service wants names like those of variables.
const (
	metaSource      = "daybooksource"
	metaPosition    = "daybookposition"
	metaVersion     = "daybookversion"
	metaContentType = "daybookcontenttype"
)

// maxTries is how many snapshots of others one may meet while it is saved.
const maxTries = 60

// Save implements livestate.SnapshotStore.
func (s *blobs) Save(ctx context.Context, snapshot livestate.Snapshot) error {
	file := binary.LittleEndian.AppendUint32(nil, uint32(snapshot.Position))
	file = append(file, snapshot.Data...)
	file = binary.LittleEndian.AppendUint32(file, uint32(snapshot.Position))
	meta := map[string]*string{}
	for name, value := range map[string]string{
		metaSource: strconv.QuoteToASCII(snapshot.Source), metaPosition: fmt.Sprint(snapshot.Position),
		metaVersion: fmt.Sprint(snapshot.Version), metaContentType: strconv.QuoteToASCII(snapshot.ContentType),
	} {
		meta[name] = &value
	}
	names, err := s.names(ctx, snapshot.Fold)
	if err != nil {
		return err
	}
	at, none := s.options.Now().UTC().Truncate(time.Second), azcore.ETagAny
	if len(names) > 0 { // the newest must have the highest name
		if newest, _ := timeOf(names[0]); !newest.Before(at) {
			at = newest.Add(time.Second)
		}
	}
	for range maxTries {
		name := snapshot.Fold + "/" + at.Format(timeLayout)
		_, err := s.container.NewBlockBlobClient(name).UploadBuffer(ctx, file, &blockblob.UploadBufferOptions{
			Metadata:         meta,
			AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &none}},
		})
		if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
			at = at.Add(time.Second) // another process has saved meanwhile
			continue
		}
		if err != nil {
			return err
		}
		return s.forget(ctx, names[min(len(names), s.options.Keep-1):])
	}
	return fmt.Errorf("%d other snapshots of fold %q were saved meanwhile", maxTries, snapshot.Fold)
}

// forget removes snapshots.
func (s *blobs) forget(ctx context.Context, names []string) (failed error) {
	for _, name := range names {
		_, err := s.container.NewBlobClient(name).Delete(ctx, nil)
		if err != nil && !bloberror.HasCode(err, bloberror.BlobNotFound) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// timeOf returns the time in the name of a blob.
func timeOf(name string) (time.Time, error) {
	return time.Parse(timeLayout, name[strings.LastIndexByte(name, '/')+1:])
}

// names returns the blobs of a fold, the newest first.
func (s *blobs) names(ctx context.Context, fold string) (names []string, err error) {
	prefix := fold + "/"
	pager := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Segment.BlobItems {
			if _, err := timeOf(*item.Name); err == nil {
				names = append(names, *item.Name)
			}
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// Load implements livestate.SnapshotStore.
func (s *blobs) Load(ctx context.Context, fold string) iter.Seq2[livestate.Snapshot, error] {
	return func(yield func(livestate.Snapshot, error) bool) {
		names, err := s.names(ctx, fold)
		if err != nil {
			yield(livestate.Snapshot{}, err)
			return
		}
		for _, name := range names {
			snapshot, err := s.load(ctx, fold, name)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			if !yield(snapshot, err) {
				return
			}
		}
	}
}

func (s *blobs) load(ctx context.Context, fold, name string) (livestate.Snapshot, error) {
	client := s.container.NewBlobClient(name)
	response, err := client.GetProperties(ctx, nil)
	if err != nil {
		return livestate.Snapshot{}, err
	}
	var size int64
	if response.ContentLength != nil {
		size = *response.ContentLength
	}
	if size < 8 {
		return livestate.Snapshot{}, fmt.Errorf("it has %d bytes, which is no snapshot", size)
	}
	file := make([]byte, size)
	if n, err := client.DownloadBuffer(ctx, file, nil); err != nil || n != size {
		return livestate.Snapshot{}, errors.Join(err, fmt.Errorf("%d of %d bytes came", n, size))
	}
	position := binary.LittleEndian.Uint32(file)
	if behind := binary.LittleEndian.Uint32(file[size-4:]); behind != position {
		return livestate.Snapshot{}, fmt.Errorf("it begins as one at %d and ends as one at %d", position, behind)
	}
	snapshot := livestate.Snapshot{
		Fold: fold, Source: s.options.Source, Position: daybook.Position(position), ContentType: daybook.ContentTypeJSON, Data: file[4 : size-4],
	}
	return snapshot, describe(&snapshot, response.Metadata)
}

// describe puts what the metadata of a blob tell into its snapshot.
func describe(snapshot *livestate.Snapshot, metadata map[string]*string) (err error) {
	meta := map[string]string{}
	for name, value := range metadata {
		if value != nil {
			meta[strings.ToLower(name)] = *value // their case is not kept
		}
	}
	if _, ours := meta[metaPosition]; !ours {
		return nil
	}
	position, e1 := strconv.ParseInt(meta[metaPosition], 10, 64)
	version, e2 := strconv.ParseInt(meta[metaVersion], 10, 64)
	source, e3 := strconv.Unquote(meta[metaSource])
	contentType, e4 := strconv.Unquote(meta[metaContentType])
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return fmt.Errorf("its metadata cannot be read: %w", err)
	}
	if uint32(position) != uint32(snapshot.Position) {
		return fmt.Errorf("its metadata tell position %d, it is one at %d", position, snapshot.Position)
	}
	snapshot.Position, snapshot.Version = daybook.Position(position), daybook.Version(version)
	snapshot.Source, snapshot.ContentType = source, contentType
	return nil
}
