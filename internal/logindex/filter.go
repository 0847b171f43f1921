package logindex

import (
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

// probe calls visit with the bits of a key in its block.
func probe(hash uint64, visit func(bit uint32) bool) bool {
	// The block was chosen by the high half; the low half tells the bits.
	low, step := uint32(hash), uint32(hash>>17)|1
	for range filterProbes {
		high, _ := bits.Mul32(low*0x9e3779b1, filterBits)
		if !visit(high) {
			return false
		}
		low += step
	}
	return true
}

func blockOf(hash uint64, blocks int) int {
	block, _ := bits.Mul64(hash, uint64(blocks))
	return int(block)
}

// filterWriter gathers the keys of a filter.
type filterWriter struct {
	blocks [][]byte
	count  int
}

func newFilterWriter(keys int64) *filterWriter {
	n := filterBlocks(keys)
	all := make([]byte, n*filterBlock)
	f := &filterWriter{blocks: make([][]byte, n), count: n}
	for i := range f.blocks {
		f.blocks[i] = all[i*filterBlock:][: filterBlock-checksumBytes : filterBlock]
	}
	return f
}

func (f *filterWriter) add(key []byte) {
	hash := hashKey(key)
	block := f.blocks[blockOf(hash, f.count)]
	probe(hash, func(bit uint32) bool {
		block[bit/8] |= 1 << (bit % 8)
		return true
	})
}

func (f *filterWriter) writeTo(p *pieces) {
	for _, block := range f.blocks {
		p.write(block)
	}
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
	set := func(block []byte) bool {
		return probe(hash, func(bit uint32) bool { return block[bit/8]&(1<<(bit%8)) != 0 })
	}
	if f.resident != nil {
		return set(f.resident[at : at+filterBlock]), nil
	}
	memory := blockMemory.Get().(*[filterBlock]byte)
	defer blockMemory.Put(memory)
	block, err := readPiece(f.from, f.seed, f.offset+int64(at), memory[:])
	if err != nil {
		return false, err
	}
	return set(block), nil
}
