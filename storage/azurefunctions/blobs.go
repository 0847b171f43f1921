package azurefunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/daybook-go/daybook"
)

// An append blob holds the events of one entity, as JSON objects one behind the
// other, with nothing between them. Its container and its name follow from
// domain, type and key, in small letters; its metadata have them as they are.

// blobs reads the append blobs of an account.
type blobs struct {
	client *azblob.Client
	domain string // "" for all
	into   *events
}

func (b *blobs) read(ctx context.Context) error {
	pager := b.client.NewListContainersPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return explained(err)
		}
		for _, item := range page.ContainerItems {
			if err := b.readContainer(ctx, *item.Name); err != nil {
				return fmt.Errorf("%s: %w", *item.Name, err)
			}
		}
	}
	return nil
}

func (b *blobs) readContainer(ctx context.Context, name string) error {
	pager := b.client.NewListBlobsFlatPager(name, &azblob.ListBlobsFlatOptions{Include: azblob.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return explained(err)
		}
		for _, item := range page.Segment.BlobItems {
			if err := b.readBlob(ctx, name, item); err != nil {
				return fmt.Errorf("%s: %w", *item.Name, err)
			}
		}
	}
	return nil
}

// readBlob reads a blob, if it is one of the library.
func (b *blobs) readBlob(ctx context.Context, in string, item *container.BlobItem) error {
	told := map[string]string{}
	for name, value := range item.Metadata {
		if value != nil {
			told[strings.ToUpper(name)] = *value
		}
	}
	domain, key := told["DOMAIN"], told["INSTANCEKEY"]
	if !strings.HasSuffix(*item.Name, ".events") || domain == "" || key == "" || b.domain != "" && domain != b.domain {
		return nil
	}
	from := "blob " + in + "/" + *item.Name
	s, err := b.into.entity(domain, kindOf(*item.Name, told["ENTITYTYPENAME"], key), key, from)
	if err != nil {
		return err
	}
	reply, err := b.client.DownloadStream(ctx, in, *item.Name, nil)
	if err != nil {
		return explained(err)
	}
	body := reply.NewRetryReader(ctx, nil)
	defer body.Close()
	var created time.Time
	if at, err := time.Parse(time.RFC3339Nano, told["DATECREATED"]); err == nil {
		created = at
	}
	return b.readEvents(s, from, body, created)
}

// kindOf returns the type of an entity in a blob. Some releases of the library
// have written the key in its place: then it is that of the path.
func kindOf(path, told, key string) string {
	parts := strings.Split(path, "/")
	for i := len(parts) - 3; told == key && i >= 0; i-- {
		if parts[i] == "eventstreams" && i+1 < len(parts)-1 && !strings.EqualFold(parts[i+1], key) {
			return parts[i+1]
		}
	}
	return told
}

// wrapped is an event as it stands in a blob.
type wrapped struct {
	EventTypeName         string
	VersionNumber         int64
	SequenceNumber        int64
	EventInstanceAsJSON   json.RawMessage `json:"EventInstanceAsJson"`
	Who                   string
	Source                string
	Commentary            string
	CorrelationIdentifier string
	CausationIdentifier   string
	SchemaName            string
	WriteTime             string
}

// readEvents takes in the events of a blob. They are told apart by reading each
// as JSON, not by what may stand between two of them: that may stand inside of
// one too.
func (b *blobs) readEvents(s *stream, from string, body io.Reader, created time.Time) error {
	decoder := json.NewDecoder(body)
	last := created
	for number := int64(1); ; number++ {
		var w wrapped
		err := decoder.Decode(&w)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var syntax *json.SyntaxError
		var form *json.UnmarshalTypeError
		if errors.As(err, &syntax) || errors.As(err, &form) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &daybook.CorruptError{File: from, Offset: decoder.InputOffset(), Reason: fmt.Sprintf("event %d is not as it must be: %v", number, err)}
		}
		if err != nil {
			return explained(err)
		}
		written, ok := parseTime(w.WriteTime)
		if !ok {
			written = last
		}
		if written.IsZero() {
			return &daybook.CorruptError{File: from, Offset: decoder.InputOffset(), Reason: fmt.Sprintf("event %d does not say when it was written", number)}
		}
		last = written
		e := event{
			Type: w.EventTypeName, OccurredAt: written, Number: number, Sequence: w.SequenceNumber, Version: w.VersionNumber,
			Who: w.Who, Source: w.Source, Commentary: w.Commentary, Correlation: w.CorrelationIdentifier, Causation: w.CausationIdentifier, Schema: w.SchemaName,
		}
		e.Data, e.ContentType = payload(w.EventInstanceAsJSON)
		if err := b.into.add(s, &e); err != nil {
			return err
		}
	}
}

// payload returns the data of an event and what they are. Newer releases write
// them as a text that holds JSON, older ones as JSON.
func payload(raw json.RawMessage) (data []byte, contentType string) {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, ""
	case json.Unmarshal(raw, &text) != nil:
		return raw, ""
	case json.Valid([]byte(text)):
		return []byte(text), ""
	}
	return []byte(text), "text/plain; charset=utf-8"
}

// parseTime reads a time of .NET, which may have no zone: then it is in UTC.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 1601 {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}
