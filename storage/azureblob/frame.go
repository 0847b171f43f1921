package azureblob

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A frame is one event in the log, in the form of Lokad.AzureEventStore, all
// numbers little-endian:
//
//	offset  size
//	0       2     n / 8
//	2       4     key, which rises with every frame
//	6       n     payload: a document, padded to a multiple of 8 bytes
//	6+n     4     checksum of key and payload
//	10+n    2     n / 8 again
const (
	frameOverhead = 12
	frameHead     = 6
	payloadUnit   = 8
	maxPayload    = 1<<19 - payloadUnit
	maxFrame      = maxPayload + frameOverhead
	maxBlock      = 4 << 20 // of all frames that are stored at once
	maxKey        = 1<<32 - 1
)

// checksum returns that of a payload under a key: CRC-32 of the reflected
// polynomial 0xEDB88320 whose register begins with the key and is not inverted
// at the end, so that a frame that was copied to another key does not fit.
func checksum(key uint32, payload []byte) uint32 {
	return ^crc32.Update(^key, crc32.IEEETable, payload)
}

// appendFrame appends the frame of a payload, whose length must be a multiple
// of 8 and at most maxPayload.
func appendFrame(to []byte, key uint32, payload []byte) []byte {
	units := uint16(len(payload) / payloadUnit)
	to = binary.LittleEndian.AppendUint16(to, units)
	to = binary.LittleEndian.AppendUint32(to, key)
	to = append(to, payload...)
	to = binary.LittleEndian.AppendUint32(to, checksum(key, payload))
	return binary.LittleEndian.AppendUint16(to, units)
}

// frame is a frame as it was read.
type frame struct {
	key     uint32
	payload []byte
	size    int // of the whole frame, in bytes
}

// cutFrame reads the frame that data begins with. Where data ends within it,
// the size is 0. A *damage says that it is not a frame.
func cutFrame(data []byte) (frame, error) {
	if len(data) < frameHead {
		return frame{}, nil
	}
	units := binary.LittleEndian.Uint16(data)
	n := int(units) * payloadUnit
	f := frame{key: binary.LittleEndian.Uint32(data[2:]), size: n + frameOverhead}
	switch {
	case f.key == 0:
		return frame{}, &damage{reason: "the key of a frame is 0"}
	case len(data) < f.size:
		return frame{}, nil
	}
	f.payload = data[frameHead : frameHead+n]
	if again := binary.LittleEndian.Uint16(data[f.size-2:]); again != units {
		return frame{}, &damage{reason: fmt.Sprintf("a frame begins as one of %d bytes and ends as one of %d", n, int(again)*payloadUnit)}
	}
	if stored, computed := binary.LittleEndian.Uint32(data[frameHead+n:]), checksum(f.key, f.payload); stored != computed {
		return frame{}, &damage{reason: fmt.Sprintf("the checksum is %08x, of the bytes it is %08x", stored, computed)}
	}
	return f, nil
}

// damage says why bytes cannot be read, and how far behind the place where
// reading began.
type damage struct {
	at     int64
	reason string
}

func (d *damage) Error() string { return d.reason }
