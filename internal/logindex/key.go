package logindex

import (
	"bytes"
	"encoding/binary"

	"github.com/daybook-go/daybook"
)

// The table of an index holds entries of several kinds, sorted by the bytes of
// their keys. The first byte of a key is its kind.
const (
	keyAppend     = 'a' // first append id -> append ids, and places of their first changesets
	keyClaim      = 'c' // partition, kind, value -> who holds it since which version, or nobody
	keyDeletion   = 'd' // number -> a deletion
	keyDeletionID = 'e' // id of a deletion -> its number
	keyTag        = 'g' // tag, first position -> positions
	keyHiding     = 'h' // stream -> what deletions have hidden of it
	keyPartition  = 'p' // partition but the default, first position -> positions of first records of changesets
	keyStream     = 's' // stream, first version -> its end, versions and places of its changesets
	keyStreamType = 'u' // stream type, first position -> positions of first records of changesets
	keyType       = 'y' // event type, first position -> positions
)

// appendKeyText adds a text so that keys sort as their texts do and no key is
// the beginning of another: zeros are doubled by 255, and 0, 1 ends it.
func appendKeyText(key []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		key = append(key, text[i])
		if text[i] == 0 {
			key = append(key, 0xff)
		}
	}
	return append(key, 0, 1)
}

// cutKeyText is the inverse of appendKeyText.
func cutKeyText(key []byte) (text string, rest []byte, ok bool) {
	end := bytes.Index(key, []byte{0, 1})
	if end < 0 {
		return "", nil, false
	}
	return string(bytes.ReplaceAll(key[:end], []byte{0, 0xff}, []byte{0})), key[end+2:], true
}

func textKey(key []byte, kind byte, texts ...string) []byte {
	key = append(key, kind)
	for _, text := range texts {
		key = appendKeyText(key, text)
	}
	return key
}

// streamKey returns the key of the list of a stream.
func streamKey(key []byte, id daybook.StreamID) []byte {
	return textKey(key, keyStream, id.Partition, id.Name)
}

// numbered adds the number that the chunks of a list are told apart by.
func numbered[N ~int64](key []byte, n N) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// hashKey returns 64 bits that depend on all of the key.
func hashKey(key []byte) uint64 {
	h := uint64(len(key))
	for ; len(key) >= 8; key = key[8:] {
		h = (h ^ binary.LittleEndian.Uint64(key)) * 0x9e3779b97f4a7c15
		h ^= h >> 32
	}
	var rest uint64
	for i, c := range key {
		rest |= uint64(c) << (8 * i)
	}
	h = (h ^ rest) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
