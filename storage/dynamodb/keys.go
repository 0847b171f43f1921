package dynamodb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// The partition keys of all rows that are no changesets of the default
// partition begin with this: no stream may be called so.
const own = daybook.ReservedPrefix + "DAYBOOK:"

// counterKey is where EES keeps the place of the last changeset in its order.
const counterKey = daybook.ReservedPrefix + "GLOBAL-COUNTER!!!"

const (
	blocksKey    = own + "blocks"
	streamPrefix = own + "stream:"
)

// blockPages is how many pages have one partition key: so many are read by one
// query, and then the writes go to another key.
const blockPages = 128

// pageParts is how many items a page can take at most.
const pageParts = 10

func blockOf(page int64) int64 { return page / blockPages }

func pagesKey(block int64) string { return own + "pages:" + strconv.FormatInt(block, 10) }

// partNumber is the sort key of an item of a page.
func partNumber(page int64, part int) int64 { return page*pageParts + int64(part) }

func appendKey(id daybook.ID) string { return own + "append:" + id.String() }

// claimKey is a digest: kinds and values are longer than a key may be.
func claimKey(key globalorder.ClaimKey) string {
	return own + "claim:" + digest(key.Partition, key.Claim.Kind, key.Claim.Value)
}

// digest is a short text for any texts.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// streamKey is the partition key of a stream's changesets: its name, as EES has
// it. A stream of another partition than the default one lies under a reserved
// key.
func streamKey(id daybook.StreamID) string {
	if id.Partition == "" {
		return id.Name
	}
	return streamPrefix + url.PathEscape(id.Partition) + "/" + id.Name
}

// streamOf returns the stream whose changesets have a partition key; false where
// it is the key of something else.
func streamOf(key string) (daybook.StreamID, bool) {
	if !strings.HasPrefix(key, daybook.ReservedPrefix) {
		return daybook.StreamID{Name: key}, true
	}
	rest, isStream := strings.CutPrefix(key, streamPrefix)
	escaped, name, cut := strings.Cut(rest, "/")
	partition, err := url.PathUnescape(escaped)
	return daybook.StreamID{Partition: partition, Name: name}, isStream && cut && err == nil
}

// partKey is where the parts of a changeset lie that has no room in one item.
func partKey(id daybook.StreamID, number daybook.ChangesetNumber) string {
	return own + "part:" + strconv.FormatInt(int64(number), 10) + ":" + streamKey(id)
}

// checkpoint is a place in EES's order, of which pages have a thousand items.
type checkpoint struct{ page, item int64 }

func checkpointOf(o daybook.Ordinal) checkpoint {
	return checkpoint{(int64(o) - 1) / 1000, (int64(o) - 1) % 1000}
}

func (c checkpoint) ordinal() daybook.Ordinal { return daybook.Ordinal(c.page*1000 + c.item + 1) }

// row is an item of the table.
type row map[string]types.AttributeValue

// The attributes of EES.
const (
	attrStream     = "stream_id"
	attrChangeset  = "changeset_id"
	attrEvents     = "events"
	attrMetadata   = "metadata"
	attrTimestamp  = "timestamp"
	attrFirstEvent = "first_event_id"
	attrLastEvent  = "last_event_id"
	attrPage       = "page"
	attrPageItem   = "page_item"

	attrPreviousStream = "prev_stream_id" // of the counter
	// EES reads one of these and writes the other.
	attrPreviousNumber      = "prev_changeset_id"
	attrPreviousNumberToSet = "prev_stream_changeset_id"
)

// The indexes of EES; the spelling is its own.
const (
	indexFirstEvent = "FirstEventId"
	indexLastEvent  = "LastEventId"
	indexOrder      = "EmumerationIndex"
)

// The attributes of ours.
const (
	attrDaybook  = "daybook"         // of a changeset: what EES's attributes do not say
	attrBytes    = "bytes"           // of a page or a part: its content
	attrDeflated = "deflated"        // of a page: its content is
	attrParts    = "parts"           // of a page: how many items it has
	attrFirst    = "first"           // of a page: its first position
	attrSettled  = "settled"         // of a page: up to which all are
	attrBlock    = "block"           // of the row of a block
	attrAt       = "at"              // of an append id: its page
	attrHolder   = "holder"          // of a claim: a stream key
	attrStamp    = "stamp"           // of a claim: its page
	attrKind     = "kind"            // of a claim
	attrValue    = "value"           // of a claim
	attrNames    = "names"           // of a shelf of names
	attrDeeper   = "deeper"          // of a shelf of names: others have their own shelf
	attrOurPage  = "daybook_page"    // of the counter: where we have put it
	attrOurItem  = "daybook_item"    // of the counter: where we have put it
	attrLastPage = "daybook_written" // of the counter: the last page, for people
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[T ~int | ~int64](n T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

// keyOf returns the key of a row.
func keyOf(partition string, sort int64) row {
	return row{attrStream: text(partition), attrChangeset: number(sort)}
}

func (r row) text(name string) string {
	if s, ok := r[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func (r row) binary(name string) []byte {
	if b, ok := r[name].(*types.AttributeValueMemberB); ok {
		return b.Value
	}
	return nil
}

// number returns a number; 0 where there is none, or no whole one.
func (r row) number(name string) int64 {
	if n, ok := r[name].(*types.AttributeValueMemberN); ok {
		value, _ := strconv.ParseInt(n.Value, 10, 64)
		return value
	}
	return 0
}

func (r row) has(name string) bool { return r[name] != nil }

// size is what the service counts a row as, in bytes: names and values. Numbers
// count less than here.
func (r row) size() int {
	size := 0
	for name, value := range r {
		size += len(name)
		switch value := value.(type) {
		case *types.AttributeValueMemberS:
			size += len(value.Value)
		case *types.AttributeValueMemberB:
			size += len(value.Value)
		case *types.AttributeValueMemberN:
			size += len(value.Value) + 1
		default:
			size++
		}
	}
	return size
}
