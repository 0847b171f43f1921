package logindex

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"sync"
)

// A filter says of a key that it may be there, or that it is not. It is a row
// of blocks; a key sets a few bits in one of them, so that asking reads one
// block.
const (
	filterBlock   = 512 // bytes with the checksum
	filterBits    = (filterBlock - checksumBytes) * 8
	filterBitsKey = 10 // space for one key; 1 in 100 that is not there seems to be
	filterProbes  = 6
)

// filterBlocks returns how many blocks hold so many keys.
func filterBlocks(keys int64) int {
	return int((keys*filterBitsKey + filterBits - 1) / filterBits)
}

// probes are the bits of a key in its block. The block was chosen by the high
// half of the hash; the low half tells them.
type probes struct{ low, step uint32 }

func probesOf(hash uint64) probes { return probes{uint32(hash), uint32(hash>>17) | 1} }

func (p *probes) next() uint32 {
	bit, _ := bits.Mul32(p.low*0x9e3779b1, filterBits)
	p.low += p.step
	return bit
}

func blockOf(hash uint64, blocks int) int {
	block, _ := bits.Mul64(hash, uint64(blocks))
	return int(block)
}

// filterWriter gathers the keys of a filter.
type filterWriter struct {
	all    []byte // the blocks, with room for their checksums
	blocks int
}

func newFilterWriter(keys int64) *filterWriter {
	n := filterBlocks(keys)
	return &filterWriter{all: make([]byte, n*filterBlock), blocks: n}
}

func (f *filterWriter) add(key []byte) {
	hash := hashKey(key)
	at := blockOf(hash, f.blocks) * filterBlock
	block := f.all[at : at+filterBlock-checksumBytes]
	p := probesOf(hash)
	for range filterProbes {
		bit := p.next()
		block[bit/8] |= 1 << (bit % 8)
	}
}

func (f *filterWriter) writeTo(p *pieces) {
	for at := 0; at < len(f.all); at += filterBlock {
		block := f.all[at : at+filterBlock-checksumBytes]
		binary.LittleEndian.PutUint32(f.all[at+len(block):], pieceSum(p.seed, p.offset+int64(at), block))
	}
	p.raw(f.all)
}

// filter asks one that was written.
type filter struct {
	from     io.ReaderAt
	seed     uint32
	offset   int64
	blocks   int
	resident []byte // all blocks, verified; nil if they are read when asked
}

// load makes the filter resident.
func (f *filter) load() error {
	all := make([]byte, f.blocks*filterBlock)
	if n, err := f.from.ReadAt(all, f.offset); n < len(all) {
		return fmt.Errorf("%w: the filter cannot be read: %w", ErrDamaged, err)
	}
	for i := range f.blocks {
		if _, err := checkPiece(f.seed, f.offset+int64(i*filterBlock), all[i*filterBlock:][:filterBlock]); err != nil {
			return err
		}
	}
	f.resident = all
	return nil
}

var blockMemory = sync.Pool{New: func() any { return new([filterBlock]byte) }}

// mayHold reports whether the key can be there.
func (f *filter) mayHold(key []byte) (bool, error) {
	if f.blocks == 0 {
		return false, nil
	}
	hash := hashKey(key)
	at := blockOf(hash, f.blocks) * filterBlock
	if f.resident != nil {
		return allSet(f.resident[at:at+filterBlock], hash), nil
	}
	memory := blockMemory.Get().(*[filterBlock]byte)
	defer blockMemory.Put(memory)
	block, err := readPiece(f.from, f.seed, f.offset+int64(at), memory[:])
	if err != nil {
		return false, err
	}
	return allSet(block, hash), nil
}

func allSet(block []byte, hash uint64) bool {
	p := probesOf(hash)
	for range filterProbes {
		if bit := p.next(); block[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}
