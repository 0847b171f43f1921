package disk

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/daybook-go/daybook"
)

// streams is what the index knows of the streams: where each ends, and where
// its frames stand.
type streams struct {
	slots  slots
	all    pages[stream]
	frames pages[frameNode]
	names  texts
	// Few partitions have many streams: each is kept once.
	partitions map[string]string
}

// stream is one stream with all that is decided about it.
type stream struct {
	id     daybook.StreamID
	end    streamEnd
	number uint32
	frames uint32 // the number, plus one, of the node of its last frame
	// The numbers, plus one, of the postings of its type and of its partition;
	// 0: they are not known yet.
	kind      uint32
	partition uint32
}

// streamEnd is a daybook.Head in less room.
type streamEnd struct {
	version   daybook.Version
	changeset daybook.ChangesetNumber
	first     daybook.Version
	position  daybook.Position
	recorded  int64 // micros
}

func (e *streamEnd) head() daybook.Head {
	if e.version == 0 {
		return daybook.Head{}
	}
	return daybook.Head{
		Version: e.version, Changeset: e.changeset, First: e.first, Position: e.position,
		RecordedAt: fromMicros(e.recorded),
	}
}

// endOf is the inverse of streamEnd.head.
func endOf(h daybook.Head) streamEnd {
	if !h.Exists() {
		return streamEnd{}
	}
	return streamEnd{h.Version, h.Changeset, h.First, h.Position, micros(h.RecordedAt)}
}

// frameNode is one frame of a stream, and leads to the one before it.
type frameNode struct {
	streamFrame
	before uint32 // its number plus one; 0: this is the first
	stream uint32 // the number of the stream
}

type streamFrame struct {
	first daybook.Version // of its first record
	place place
}

func newStreams() streams { return streams{slots: newSlots(), partitions: map[string]string{}} }

func hashStream(id daybook.StreamID) uint64 {
	hash := maphash.String(hashSeed, id.Name)
	if id.Partition != "" {
		hash ^= bits.RotateLeft64(maphash.String(hashSeed, id.Partition), 31)
	}
	return hash
}

// find returns the number of a stream.
func (t *streams) find(id daybook.StreamID) (number uint32, ok bool) {
	hash := hashStream(id)
	n, at, ok := t.slots.next(hash, t.slots.start(hash))
	for ; ok; n, at, ok = t.slots.next(hash, at) {
		if t.all.at(n).id == id {
			return n, true
		}
	}
	return 0, false
}

// get is find for a stream that is made if it is unknown. It keeps no memory
// of the id.
func (t *streams) get(id daybook.StreamID) (s *stream, made bool) {
	if n, ok := t.find(id); ok {
		return t.all.at(n), false
	}
	partition, known := t.partitions[id.Partition]
	if !known {
		partition = t.names.keep(id.Partition)
		t.partitions[partition] = partition
	}
	number, s := t.all.add()
	s.number = number
	s.id = daybook.StreamID{Partition: partition, Name: t.names.keep(id.Name)}
	t.slots.put(hashStream(id), number)
	return s, true
}

// add puts a frame behind the last one of s.
func (t *streams) add(s *stream, frame streamFrame) {
	n, node := t.frames.add()
	*node = frameNode{frame, s.frames, s.number}
	s.frames = n + 1
}

// framesOf returns the frames of s that stand below end, in order, from the
// one that holds the version on.
func (t *streams) framesOf(s *stream, from daybook.Version, end place) []streamFrame {
	var frames []streamFrame
	for n := s.frames; n > 0; {
		node := t.frames.at(n - 1)
		if node.place < end {
			frames = append(frames, node.streamFrame)
			if node.first <= from {
				break
			}
		}
		n = node.before
	}
	slices.Reverse(frames)
	return frames
}

// appendIDs leads from the id of an append to its first frame.
type appendIDs struct {
	slots slots
	all   pages[appendPlace]
}

type appendPlace struct {
	id    daybook.ID
	place place
}

func newAppendIDs() appendIDs { return appendIDs{slots: newSlots()} }

func hashID(id daybook.ID) uint64 { return maphash.Bytes(hashSeed, id[:]) }

// find returns the place of the first frame of an append.
func (t *appendIDs) find(id daybook.ID) (at place, ok bool) {
	hash := maphash.Bytes(hashSeed, id[:])
	n, probe, ok := t.slots.next(hash, t.slots.start(hash))
	for ; ok; n, probe, ok = t.slots.next(hash, probe) {
		if found := t.all.at(n); found.id == id {
			return found.place, true
		}
	}
	return 0, false
}

// add takes in an append that is not known yet.
func (t *appendIDs) add(id daybook.ID, at place) {
	n, made := t.all.add()
	*made = appendPlace{id, at}
	t.slots.put(maphash.Bytes(hashSeed, id[:]), n)
}
