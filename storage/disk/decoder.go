package disk

import (
	"encoding/binary"
	"math"

	"github.com/daybook-go/daybook"
)

// decoder takes bytes apart from their front. Once something does not fit it
// has failed, and gives zero values. What it gives shares memory with the
// bytes. It moves a number and not a slice: that is cheaper while the garbage
// collector runs.
type decoder struct {
	bytes  []byte
	at     int
	failed bool
}

func (d *decoder) fail() {
	d.failed, d.at = true, len(d.bytes)
}

// left returns how many bytes are left.
func (d *decoder) left() int { return len(d.bytes) - d.at }

func (d *decoder) take(n uint64) []byte {
	if n > uint64(d.left()) {
		d.fail()
		return nil
	}
	from := d.at
	d.at += int(n)
	return d.bytes[from:d.at:d.at]
}

func (d *decoder) uvarint() uint64 {
	if d.at < len(d.bytes) && d.bytes[d.at] < 0x80 { // most are small
		d.at++
		return uint64(d.bytes[d.at-1])
	}
	return d.longUvarint()
}

func (d *decoder) longUvarint() uint64 {
	value, n := binary.Uvarint(d.bytes[d.at:])
	if n <= 0 {
		d.fail()
		return 0
	}
	d.at += n
	return value
}

// uvarintAt returns the number that begins at a place of b, and where it ends;
// 0 if there is none.
func uvarintAt(b []byte, at int) (value uint64, end int) {
	if at < len(b) && b[at] < 0x80 {
		return uint64(b[at]), at + 1
	}
	return longUvarintAt(b, at)
}

func longUvarintAt(b []byte, at int) (value uint64, end int) {
	if at+1 < len(b) && b[at+1] < 0x80 {
		return uint64(b[at]&0x7f) | uint64(b[at+1])<<7, at + 2
	}
	value, n := binary.Uvarint(b[min(at, len(b)):])
	if n <= 0 {
		return 0, 0
	}
	return value, at + n
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// text returns the bytes of a text.
func (d *decoder) text() []byte { return d.take(d.uvarint()) }

// count returns a number of things of which each has at least so many bytes.
// One that cannot be right is never allocated for.
func (d *decoder) count(least int) int {
	n := d.uvarint()
	if n > uint64(d.left()/least) {
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
