package disk

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/daybook-go/daybook"
)

// endName is the file that says where the log ends. The writer overwrites it
// in place, unsynced, after each write of the log, and syncs it when it
// closes. It is of use three ways: readers in other processes read as far as
// it says, and so never see what a crash could still take back; what lies
// below synced was acknowledged, so damage there is no torn tail; and after a
// clean close it is the exact end of the log. When it is missing or older than
// the log, nothing is lost but these proofs.
const endName = "END"

const (
	endMagic = "DAYBKEND"
	endSize  = 64
	endClean = 1 // flag: the writer has closed
)

// endMark is what endName holds.
type endMark struct {
	store   daybook.ID
	segment daybook.Position // the first of the last segment
	visible int64            // in it; readers read so far
	synced  int64            // in it; so far is on the disk
	clean   bool
}

func (m endMark) encode() []byte { return m.encodeInto(new([endSize]byte)) }

// encodeInto is encode into the memory of buf.
func (m endMark) encodeInto(buf *[endSize]byte) []byte {
	b := buf[:]
	clear(b)
	copy(b, endMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:], m.store[:])
	le.PutUint64(b[32:], uint64(m.segment))
	le.PutUint64(b[40:], uint64(m.visible))
	le.PutUint64(b[48:], uint64(m.synced))
	if m.clean {
		b[56] = endClean
	}
	le.PutUint32(b[12:], headerChecksum(b))
	return b
}

// decodeEndMark returns what b holds; not ok if it is damaged or belongs to
// another store.
func decodeEndMark(b []byte, store daybook.ID) (m endMark, ok bool) {
	le := binary.LittleEndian
	if len(b) != endSize || string(b[:8]) != endMagic || le.Uint32(b[12:]) != headerChecksum(b) ||
		le.Uint32(b[8:]) != formatVersion {
		return m, false
	}
	copy(m.store[:], b[16:])
	m.segment = daybook.Position(le.Uint64(b[32:]))
	m.visible, m.synced = int64(le.Uint64(b[40:])), int64(le.Uint64(b[48:]))
	m.clean = b[56]&endClean != 0
	return m, m.store == store
}

// readEndMark reads the mark from an open file. A read may meet a write that
// is not done, and then finds a wrong checksum; it looks again a few times.
func readEndMark(file File, store daybook.ID) (m endMark, ok bool, err error) {
	for range 10 {
		b := make([]byte, endSize)
		n, err := file.ReadAt(b, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return m, false, err
		}
		if m, ok = decodeEndMark(b[:n], store); ok {
			return m, true, nil
		}
	}
	return m, false, nil
}
