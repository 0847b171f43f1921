package storagetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
	"github.com/daybook-go/daybook"
)

// historyInput is one call of a concurrent history: an append to a stream, a
// deletion from it, or a read of it.
type historyInput struct {
	stream  string
	read    bool
	delete  bool
	id      string // of the append or deletion
	expect  daybook.Expect
	count   int             // of events
	through daybook.Version // of a deletion
}

// historyOutput is what the call was answered.
type historyOutput struct {
	unknown  bool // the call failed, with or without effect
	conflict bool
	found    daybook.Version // by a conflict
	repeated bool
	first    daybook.Version // by a receipt of an append; of a deletion, and of its conflict, the first version left
	records  string          // by a read: the append of each record
}

// streamState is a stream: its records, each known by its append, and where
// each append and deletion went.
type streamState struct {
	records  string // ids of appends, each followed by a space
	first    daybook.Version
	version  daybook.Version
	number   daybook.ChangesetNumber
	receipts []streamReceipt
}

type streamReceipt struct {
	id    string
	first daybook.Version
}

// historyModel is what a stream does when one call is made after the other.
// Every stream is a history of its own.
func historyModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byStream := map[string][]porcupine.Operation{}
			for _, operation := range history {
				stream := operation.Input.(historyInput).stream
				byStream[stream] = append(byStream[stream], operation)
			}
			var all [][]porcupine.Operation
			for _, operations := range byStream {
				all = append(all, operations)
			}
			return all
		},
		Init: func() any { return streamState{first: 1} },
		Step: func(state, input, output any) (bool, any) {
			return state.(streamState).step(input.(historyInput), output.(historyOutput))
		},
		Equal: func(a, b any) bool {
			x, y := a.(streamState), b.(streamState)
			return x.records == y.records && x.first == y.first && x.version == y.version && slices.Equal(x.receipts, y.receipts)
		},
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v -> %+v", input, output)
		},
		DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

// step returns whether a call on the stream can have been answered so, and
// what the stream is after it. A call with an unknown outcome has its effect
// here; one without effect is the same as one that has it after all others,
// since it never returned.
func (s streamState) step(in historyInput, out historyOutput) (bool, any) {
	if in.read {
		return out.unknown || out.records == s.records, s
	}
	if i := slices.IndexFunc(s.receipts, func(r streamReceipt) bool { return r.id == in.id }); i >= 0 {
		return out.unknown || out.repeated && !out.conflict && out.first == s.receipts[i].first, s
	}
	if !in.expect.Holds(daybook.Head{Version: s.version, Changeset: s.number, First: s.first}) {
		return out.unknown || out.conflict && out.found == s.version && (!in.delete || s.version == 0 || out.first == s.first), s
	}
	after, first := s, s.version+1
	if in.delete {
		after.records, after.first = s.without(in.through)
		first = after.first
	} else {
		after.records += strings.Repeat(in.id+" ", in.count)
		after.version += daybook.Version(in.count)
		after.number++
	}
	after.receipts = append(slices.Clip(s.receipts), streamReceipt{in.id, first})
	return out.unknown || !out.conflict && !out.repeated && out.first == first, after
}

// without returns the records that a deletion leaves, and the first version of
// them. The records of one append are one changeset.
func (s streamState) without(through daybook.Version) (string, daybook.Version) {
	records := strings.Fields(s.records)
	n := len(records)
	if through > 0 {
		n = max(0, min(n, int(through-s.first)+1))
	}
	for n > 0 && n < len(records) && records[n-1] == records[n] {
		n--
	}
	left := ""
	for _, id := range records[n:] {
		left += id + " "
	}
	return left, s.first + daybook.Version(n)
}
