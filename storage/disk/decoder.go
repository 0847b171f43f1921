package disk

import (
	"encoding/binary"
	"math"

	"github.com/daybook-go/daybook"
)

// decoder takes bytes apart from their front. Once something does not fit it
// has failed, and gives zero values. What it gives shares memory with the
// bytes.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed, d.rest = true, nil
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	taken := d.rest[:n:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 { // most are small
		value := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(value)
	}
	return d.longUvarint()
}

func (d *decoder) longUvarint() uint64 {
	value, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return value
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// text returns the bytes of a text.
func (d *decoder) text() []byte {
	if len(d.rest) > 0 && d.rest[0] < 0x80 && int(d.rest[0]) < len(d.rest) {
		end := 1 + int(d.rest[0])
		text := d.rest[1:end:end]
		d.rest = d.rest[end:]
		return text
	}
	return d.take(d.longUvarint())
}

// count returns a number of things of which each has at least so many bytes.
// One that cannot be right is never allocated for.
func (d *decoder) count(least int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/least) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) claims(m *recordMemory) []daybook.Claim {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	claims := make([]daybook.Claim, n)
	for i := range claims {
		claims[i] = daybook.Claim{Kind: m.text(d.text()), Value: m.text(d.text())}
	}
	return claims
}

func (d *decoder) streams(m *recordMemory) []daybook.StreamID {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	streams := make([]daybook.StreamID, n)
	for i := range streams {
		streams[i] = daybook.StreamID{Partition: m.text(d.text()), Name: m.text(d.text())}
	}
	return streams
}

// position returns the position that lies a step above another.
func (d *decoder) position(above daybook.Position) daybook.Position {
	step := d.uvarint()
	if step == 0 || step > uint64(math.MaxInt64-above) {
		d.fail()
		return 0
	}
	return above + daybook.Position(step)
}
