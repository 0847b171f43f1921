package wire

import (
	"time"

	"github.com/daybook-go/daybook"
)

// AppendHead appends the JSON of a stream and where it ends.
func AppendHead(out []byte, h *daybook.StreamHead) []byte {
	w := &writer{out: out}
	w.out = append(w.out, '{')
	w.stream(h.Stream)
	w.place(h.Head)
	w.close('}')
	return w.out
}

// place writes the fields of a head into the open object.
func (w *writer) place(h daybook.Head) {
	w.number("version", int64(h.Version))
	w.number("changeset_id", int64(h.Changeset))
	w.number("first_version", int64(h.First))
	w.number("position", int64(h.Position))
	if !h.RecordedAt.IsZero() {
		w.time("recorded_at", h.RecordedAt)
	}
}

// head is a head as JSON brings it.
type head struct {
	StreamID
	Version    daybook.Version         `json:"version"`
	Changeset  daybook.ChangesetNumber `json:"changeset_id"`
	First      daybook.Version         `json:"first_version"`
	Position   daybook.Position        `json:"position"`
	RecordedAt time.Time               `json:"recorded_at"`
}

func (h *head) head() daybook.Head {
	return daybook.Head{Version: h.Version, Changeset: h.Changeset, First: h.First, Position: h.Position, RecordedAt: daybook.Microseconds(h.RecordedAt)}
}

// DecodeHead reads the JSON of a stream and where it ends.
func DecodeHead(line []byte) (daybook.StreamHead, error) {
	var h head
	if err := decodeReply(line, &h); err != nil {
		return daybook.StreamHead{}, err
	}
	return daybook.StreamHead{Stream: h.StreamID.ID(), Head: h.head()}, nil
}

// Stats is what a store holds, as JSON.
type Stats struct {
	Streams       int64                   `json:"streams"`
	Changesets    int64                   `json:"changesets"`
	Records       int64                   `json:"records"`
	LongestStream daybook.ChangesetNumber `json:"longest_stream"`
	LastPosition  daybook.Position        `json:"last_position"`
	LastOrdinal   daybook.Ordinal         `json:"last_ordinal"`
	Bytes         int64                   `json:"bytes"`
}

// AppendHolder appends the JSON that tells whether a claim is held, and by
// which stream.
func AppendHolder(out []byte, holder daybook.StreamID, held bool) []byte {
	w := &writer{out: out}
	w.out = append(w.out, '{')
	w.boolean("held", held)
	if held {
		w.key("holder")
		w.object(holder)
	}
	w.close('}')
	return w.out
}

// DecodeHolder reads what AppendHolder writes.
func DecodeHolder(body []byte) (holder daybook.StreamID, held bool, err error) {
	var h struct {
		Held   bool     `json:"held"`
		Holder StreamID `json:"holder"`
	}
	err = decodeReply(body, &h)
	return h.Holder.ID(), h.Held, err
}
