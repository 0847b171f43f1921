package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame of the bounds, all numbers little-endian:
//
//	0      4      8         16        24       32        48
//	| size | crc  | position | version | stream | id      | data …
//
// size is that of the data, crc the CRC32C of all behind it, stream a hash of
// its name; id is room for what identifies an event, filled with its version.
// An event of 256 bytes makes 304. Zeros end the file.
const frameHeader = 48

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errFrame says that bytes are no frame that was written.
var errFrame = errors.New("damaged frame")

// appendFrame appends an event as a frame.
func appendFrame(buffer []byte, position, version int64, stream uint64, data []byte) []byte {
	start := len(buffer)
	var header [frameHeader]byte
	binary.LittleEndian.PutUint32(header[0:], uint32(len(data)))
	binary.LittleEndian.PutUint64(header[8:], uint64(position))
	binary.LittleEndian.PutUint64(header[16:], uint64(version))
	binary.LittleEndian.PutUint64(header[24:], stream)
	binary.LittleEndian.PutUint64(header[32:], uint64(version))
	binary.LittleEndian.PutUint64(header[40:], uint64(version))
	buffer = append(buffer, header[:]...)
	buffer = append(buffer, data...)
	binary.LittleEndian.PutUint32(buffer[start+4:], crc32.Checksum(buffer[start+8:], castagnoli))
	return buffer
}

// frame is one that was read; data is borrowed.
type frame struct {
	position, version int64
	stream            uint64
	data              []byte
}

// cutFrame returns the frame at the beginning of buffer and how long it is; 0
// if the buffer ends before it does, -1 behind the last one.
func cutFrame(buffer []byte) (f frame, length int, err error) {
	if len(buffer) < frameHeader {
		return frame{}, 0, nil
	}
	size := int(binary.LittleEndian.Uint32(buffer))
	crc := binary.LittleEndian.Uint32(buffer[4:])
	if size == 0 && crc == 0 {
		return frame{}, -1, nil
	}
	if len(buffer) < frameHeader+size {
		return frame{}, 0, nil
	}
	length = frameHeader + size
	if crc32.Checksum(buffer[8:length], castagnoli) != crc {
		return frame{}, 0, errFrame
	}
	return frame{
		position: int64(binary.LittleEndian.Uint64(buffer[8:])),
		version:  int64(binary.LittleEndian.Uint64(buffer[16:])),
		stream:   binary.LittleEndian.Uint64(buffer[24:]),
		data:     buffer[frameHeader:length],
	}, length, nil
}

// scanFrames reads frames in large pieces, checks each, and hands it over.
func scanFrames(file io.Reader, visit func(f frame) error) error {
	buffer := make([]byte, 1<<20)
	filled, offset := 0, int64(0)
	for {
		n, readErr := io.ReadFull(file, buffer[filled:])
		filled += n
		used := 0
		for {
			f, length, err := cutFrame(buffer[used:filled])
			switch {
			case err != nil:
				return fmt.Errorf("at offset %d: %w", offset+int64(used), err)
			case length < 0:
				return nil
			}
			if length == 0 {
				break
			}
			if err := visit(f); err != nil {
				return err
			}
			used += length
		}
		if readErr != nil {
			if used == filled {
				return nil
			}
			return fmt.Errorf("at offset %d: %w: the file ends inside it", offset+int64(used), errFrame)
		}
		offset += int64(used)
		filled = copy(buffer, buffer[used:filled])
		if used == 0 {
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
	}
}

// streamHash is FNV-1a: the bounds have no index of names.
func streamHash(stream string) uint64 {
	hash := uint64(14695981039346656037)
	for i := range len(stream) {
		hash = (hash ^ uint64(stream[i])) * 1099511628211
	}
	return hash
}
