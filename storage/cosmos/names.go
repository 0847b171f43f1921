package cosmos

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/google/uuid"
)

// zeroGUID is the partition of those who name none, in Finaps's layout.
const zeroGUID = "00000000-0000-0000-0000-000000000000"

// longestKey is how long a value of a partition key may be where the container
// compares only its first bytes (containers without large partition keys).
// https://learn.microsoft.com/azure/cosmos-db/large-partition-keys
const longestKey = 100

// partitionID returns the value of PartitionId for a partition: a GUID stands
// for itself, the default partition for zeroes, any other name is encoded in
// characters that are safe in ids, and hashed where that becomes too long.
func partitionID(name string) string {
	switch {
	case name == "":
		return zeroGUID
	case isGUID(name):
		return name
	}
	key := "~" + encoded(name)
	if len(key) <= longestKey {
		return key
	}
	sum := sha256.Sum256([]byte(name))
	return "~~" + hex.EncodeToString(sum[:])
}

// foreignPartition returns the partition whose items a program that knows
// nothing of Daybook has written, if it is one that such a program writes.
func foreignPartition(id string) (name string, ok bool) {
	if id == zeroGUID {
		return "", true
	}
	return id, isGUID(id)
}

// encoded writes a name in letters, digits, "_", "." and "-", and every other
// byte as "=" and two hexadecimal digits.
func encoded(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// isGUID reports whether text is a GUID as .NET writes it, and not all zeroes.
func isGUID(text string) bool {
	if len(text) != len(zeroGUID) || text == zeroGUID {
		return false
	}
	for i := range len(text) {
		c := text[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// aggregate is what Finaps's layout calls the subject of a stream.
type aggregate struct {
	kind string // AggregateType
	id   string // AggregateId
}

// aggregateOf returns the aggregate of a stream: of "Account-<guid>" the GUID
// itself, of any other name a GUID derived from it.
func aggregateOf(name string) aggregate {
	if n := len(name) - len(zeroGUID); n > 1 && name[n-1] == '-' && isGUID(name[n:]) {
		return aggregate{kind: name[:n-1], id: name[n:]}
	}
	return derivedAggregate(name)
}

// derivedAggregate returns the aggregate of a stream whose name has no GUID,
// or one that is another stream's already: in Finaps's layout an aggregate's id
// is unique whatever its type.
func derivedAggregate(name string) aggregate {
	kind := daybook.Stream(name).Type()
	if kind == "" {
		kind = "Daybook" // Finaps's library refuses an empty one
	}
	return aggregate{kind: kind, id: derivedID(name)}
}

// streamName returns the stream of an aggregate that Finaps's library has
// written.
func streamName(a aggregate) string { return a.kind + "-" + a.id }

// derivedID returns the UUID, of version 8, that stands for a text.
func derivedID(text string) string {
	sum := sha256.Sum256([]byte(text))
	var id uuid.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// eventPrefix begins the ids of events.
const eventPrefix = "Event|"

func eventID(aggregate string, version daybook.Version) string {
	return fmt.Sprintf("%s%s[%d]", eventPrefix, aggregate, version-1)
}

const headID = "Daybook|Head"

func appendID(id daybook.ID) string { return "Daybook|Append|" + id.String() }

func streamID(name string) string { return "Daybook|Stream|" + derivedID(name) }

func claimID(c daybook.Claim) string {
	sum := sha256.Sum256([]byte(c.Kind + "\x00" + c.Value)) // neither holds a zero byte
	return "Daybook|Claim|" + hex.EncodeToString(sum[:])
}

func placedID(partition string) string { return "Daybook|Partition|" + partitionID(partition) }

func entryID(partition string, place int64) string {
	return fmt.Sprintf("Daybook|Entry|%s|%d", partitionID(partition), place)
}

// sortKey returns a text that sorts as the bytes of a name do, whatever the
// service takes for the order of characters.
func sortKey(name string) string { return hex.EncodeToString([]byte(name)) }
