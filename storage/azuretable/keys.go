package azuretable

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// The partitions of the table that are the driver's own. No partition of
// records begins so, since two exclamation marks never begin an encoded text.
const (
	pagesPartition   = "!!pages"
	appendsPartition = "!!appends"
	claimsPartition  = "!!claims"
	streamsPartition = "!!streams"
)

// separator stands between two encoded texts. It sorts below everything that
// may stand there, so that a text sorts before those that it begins.
const separator = "!!"

// What stands for a key that cannot be told otherwise.
const (
	emptyKey = "!-" // of a name that ends with its first "-"
	noKey    = "!." // of a name without "-"
)

// A key of the table may have 512 characters. Of a longer one the beginning is
// kept, and a digest of the whole.
const (
	maxPartitionKey = 480
	maxSource       = 460
	keptOfKey       = 380
)

// encode writes a text with the characters that a key of a table may have, in
// the order of its bytes: letters, digits, "-" and "_" stand for themselves, any
// other byte for a sign that sorts where the byte does, and two digits.
func encode(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_':
			b.WriteByte(c)
			continue
		case c < '-':
			b.WriteByte('!')
		case c < '0':
			b.WriteByte('.')
		case c < 'A':
			b.WriteByte('=')
		case c < '_':
			b.WriteByte('^')
		case c < 'a':
			b.WriteByte('`')
		default:
			b.WriteByte('~')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

// shortened returns an encoded text of which no other has the shortened form.
// It sorts as the text does, as far as it is kept.
func shortened(encoded string, most int) string {
	if len(encoded) <= most {
		return encoded
	}
	digest := sha256.Sum256([]byte(encoded))
	return encoded[:keptOfKey] + "~~" + hex.EncodeToString(digest[:])
}

// recordsPartition returns the partition key of the records of a stream.
func recordsPartition(id daybook.StreamID) string {
	key := encode(id.Type())
	if key == "" {
		key = emptyKey
	}
	if id.Partition != "" {
		key = encode(id.Partition) + separator + key
	}
	return shortened(key, maxPartitionKey)
}

// source returns what the row keys of a stream's records begin with, up to "_".
func source(id daybook.StreamID) string {
	key := encode(id.Key())
	switch {
	case key == "" && strings.Contains(id.Name, "-"):
		return emptyKey
	case key == "":
		return noKey
	}
	return shortened(key, maxSource)
}

// sixDigits is the highest version that six digits can tell.
const sixDigits = 999_999

// versionKey returns a version as row keys have it: six digits, and behind those
// a letter for each digit more, so that it sorts behind.
func versionKey(v daybook.Version) string {
	if v <= sixDigits {
		return fmt.Sprintf("%06d", v)
	}
	digits := strconv.FormatInt(int64(v), 10)
	return string(rune('a'+len(digits)-7)) + digits
}

// parseVersion reads what versionKey has written.
func parseVersion(key string) (daybook.Version, bool) {
	digits := key
	if len(key) > 6 {
		digits = key[1:]
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	return daybook.Version(v), err == nil && versionKey(daybook.Version(v)) == key
}

// streamKey returns the row key of a stream's head. Keys sort as streams do, but
// for those that have the kept part in common.
func streamKey(id daybook.StreamID) string {
	return shortened(encode(id.Partition)+separator+encode(id.Name), maxPartitionKey)
}

func claimKey(key globalorder.ClaimKey) string {
	digest := sha256.New()
	for _, part := range [...]string{key.Partition, key.Claim.Kind, key.Claim.Value} {
		fmt.Fprintf(digest, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// pageKey returns the row key of a part of a page; it sorts by number and part.
func pageKey(number int64, part int) string { return fmt.Sprintf("p%019d_%02d", number, part) }

// indexKey returns the row key that leads to a page from a position: the last
// page whose First is at most that position is the first row at or behind
// seekKey. Numbers are turned round, since a table is only read upwards.
func indexKey(first daybook.Position, number int64) string {
	return fmt.Sprintf("%s_%019d", seekKey(first), highest-number)
}

func seekKey(position daybook.Position) string {
	return fmt.Sprintf("i%019d", highest-int64(position))
}

const highest = 1<<63 - 1
