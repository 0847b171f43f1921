package logindex

import "encoding/binary"

// decoder takes bytes apart from their front. Once something does not fit it
// has failed, and gives zero values.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() { d.failed, d.rest = true, nil }

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 {
		value := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(value)
	}
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

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

// bytes returns a text, sharing its memory.
func (d *decoder) bytes() []byte { return d.take(d.uvarint()) }

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

// done reports whether everything was taken, and fitted.
func (d *decoder) done() bool { return !d.failed && len(d.rest) == 0 }

func appendBytes[T string | []byte](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}
