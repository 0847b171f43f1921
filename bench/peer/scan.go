package peer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// What docs/format.md draws of storage/disk, as far as a scan needs it.
const (
	segmentHeader  = 72
	daybookFrame   = 88 // the header of a frame
	daybookMagic   = 0x464b4244
	scanPieceBytes = 4 << 20
)

// ScanDaybook reads the files of a store of storage/disk, finds each frame and
// checks the CRC32C of its body, and does nothing else: the bound of whoever
// replays or opens by reading. It returns how many records the frames hold.
func ScanDaybook(dir string) (records int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no segments in %s (error %v)", dir, err)
	}
	slices.Sort(names)
	buffer := make([]byte, scanPieceBytes)
	for _, name := range names {
		n, err := scanSegment(name, &buffer)
		records += n
		if err != nil {
			return records, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	return records, nil
}

// scanSegment scans one file through a buffer that it may make larger. Zeros
// end the segment.
func scanSegment(name string, buffer *[]byte) (records int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Seek(segmentHeader, io.SeekStart); err != nil {
		return 0, err
	}
	filled := 0
	for {
		n, readErr := io.ReadFull(file, (*buffer)[filled:])
		filled += n
		used, count, end, err := scanPiece((*buffer)[:filled])
		records += count
		if err != nil || end {
			return records, err
		}
		if readErr != nil {
			if used < filled {
				return records, fmt.Errorf("the file ends inside a frame: %w", errFrame)
			}
			return records, nil
		}
		filled = copy(*buffer, (*buffer)[used:filled])
		if used == 0 {
			*buffer = append(*buffer, make([]byte, len(*buffer))...)
		}
	}
}

// scanPiece checks the whole frames at the beginning of a piece. It returns how
// long they are, how many records they hold, and whether zeros follow.
func scanPiece(piece []byte) (used int, records int64, end bool, err error) {
	for len(piece)-used >= daybookFrame {
		header := piece[used:]
		switch binary.LittleEndian.Uint32(header) {
		case daybookMagic:
		case 0:
			return used, records, true, nil
		default:
			return used, records, false, errFrame
		}
		length := daybookFrame + int(binary.LittleEndian.Uint32(header[8:]))
		if length > len(header) {
			break
		}
		if crc32.Checksum(header[daybookFrame:length], castagnoli) != binary.LittleEndian.Uint32(header[12:]) {
			return used, records, false, errFrame
		}
		records += int64(binary.LittleEndian.Uint32(header[20:]))
		used += length
	}
	return used, records, false, nil
}
