package disk

import (
	"encoding/binary"

	"github.com/daybook-go/daybook"
)

// The body of a frame is a prologue (what the records have in common) and one
// piece for each record: its head (id, type, tags, context) and behind it its
// data, each with its length in front, so that whoever selects records by type
// and tags passes over the data without touching it.

// What the head of a record holds besides its id, type and tags.
const (
	headContentType = 1 << iota // else JSON
	headOccurredAt              // else when it was recorded
	headWho
	headCorrelation
	headSource
	headCommentary
	headSchema
	headMetadata
	headCause
	headCauseWhen
	headKnown = 1<<iota - 1
)

// headFront is where the type and the tags begin in a head, behind the mask and
// the id; headFixed the least size of a head: besides, the length of the type
// and the number of tags.
const (
	headFront = 2 + 16
	headFixed = headFront + 1 + 1
)

// appendBody adds the padded body of c to b. Positions are those of the
// events if they are not consecutive, else nil.
func appendBody(b []byte, c *daybook.Changeset, positions []daybook.Position) []byte {
	start := len(b)
	b = appendText(b, c.Stream.Partition)
	b = appendText(b, c.Stream.Name)
	b = appendText(b, c.Metadata)
	b = appendClaims(b, c.Claims)
	b = appendClaims(b, c.Releases)
	b = binary.AppendUvarint(b, uint64(len(c.References)))
	for _, reference := range c.References {
		b = appendText(b, reference.Partition)
		b = appendText(b, reference.Name)
	}
	for i := 1; i < len(positions); i++ {
		b = binary.AppendUvarint(b, uint64(positions[i]-positions[i-1]))
	}
	b = putLengths(b, start, uint64(len(b)-start))
	for i := range c.Events {
		e := &c.Events[i]
		head := len(b)
		b = appendHead(b, e)
		b = putLengths(b, head, uint64(len(b)-head), uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	for (len(b)-start)%frameAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// putLengths moves what b holds from at on to make room for lengths before it.
func putLengths(b []byte, at int, lengths ...uint64) []byte {
	var room [2 * binary.MaxVarintLen64]byte
	written := room[:0]
	for _, n := range lengths {
		written = binary.AppendUvarint(written, n)
	}
	b = append(b, written...)
	copy(b[at+len(written):], b[at:len(b)-len(written)])
	copy(b[at:], written)
	return b
}

func appendHead(b []byte, e *daybook.Event) []byte {
	var mask uint16
	at := len(b)
	b = append(b, 0, 0)
	b = append(b, e.ID[:]...)
	b = appendText(b, e.Type)
	b = binary.AppendUvarint(b, uint64(len(e.Tags)))
	for _, tag := range e.Tags {
		b = appendText(b, tag)
	}
	text := func(bit uint16, s string) {
		if s != "" {
			mask |= bit
			b = appendText(b, s)
		}
	}
	if e.ContentType != daybook.ContentTypeJSON {
		text(headContentType, e.ContentType)
	}
	if !e.OccurredAt.IsZero() {
		mask |= headOccurredAt
		b = binary.AppendVarint(b, e.OccurredAt.UnixMicro())
	}
	text(headWho, e.Context.Who)
	text(headCorrelation, e.Context.Correlation)
	text(headSource, e.Context.Source)
	text(headCommentary, e.Context.Commentary)
	text(headSchema, e.Context.Schema)
	if len(e.Context.Metadata) > 0 {
		mask |= headMetadata
		b = appendText(b, e.Context.Metadata)
	}
	if why := e.Context.Why; why != nil {
		mask |= headCause
		b = appendText(b, why.ID)
		b = appendText(b, why.What)
		b = appendText(b, why.Who)
		if !why.When.IsZero() {
			mask |= headCauseWhen
			b = binary.AppendVarint(b, why.When.UnixMicro())
		}
	}
	binary.LittleEndian.PutUint16(b[at:], mask)
	return b
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendClaims(b []byte, claims []daybook.Claim) []byte {
	b = binary.AppendUvarint(b, uint64(len(claims)))
	for _, claim := range claims {
		b = appendText(b, claim.Kind)
		b = appendText(b, claim.Value)
	}
	return b
}
