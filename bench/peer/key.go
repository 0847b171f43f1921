package peer

import (
	"bytes"
	"encoding/binary"
)

// streamKey appends the key of an event in an ordered key-value store: the
// stream, a zero byte, the version so that its bytes sort.
func streamKey(key []byte, stream string, version int64) []byte {
	key = append(key, stream...)
	key = append(key, 0)
	return binary.BigEndian.AppendUint64(key, uint64(version))
}

// keyVersion returns the version of a key of the stream, and whether it is one.
func keyVersion(key []byte, stream string) (int64, bool) {
	rest, ok := bytes.CutPrefix(key, []byte(stream))
	if !ok || len(rest) != 9 || rest[0] != 0 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(rest[1:])), true
}
