package disk

import (
	"hash/maphash"
	"math/bits"

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
	frames uint32          // the number, plus one, of the node of its last frame
	begins daybook.Version // of its first frame
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
	if h.Version == 0 {
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
	if s.frames == 0 {
		s.begins = frame.first
	}
	n, node := t.frames.add()
	*node = frameNode{frame, s.frames, s.number}
	s.frames = n + 1
}
