package azureblob

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
)

// state is what is known of the log: everything but the contents of events,
// which stay in the copy of its bytes. It is folded from the frames, in their
// order, by the same code whoever wrote them, so that every process that has
// read so far knows the same.
type state struct {
	foreign daybook.StreamID // the stream of what other programs wrote

	records    []record // in the order of the log
	changesets []changeset
	streams    map[daybook.StreamID]*stream
	types      map[string][]uint32 // the records of a type
	tags       map[string][]uint32 // the records with a tag
	appends    map[daybook.ID]appendPlace
	holders    map[claimKey]*stream

	key     uint32           // of the last frame
	shift   int64            // a position is its key and this
	last    daybook.Position // of the last record
	ordinal daybook.Ordinal  // of the last changeset
	latest  time.Time        // of the last record
}

// record is where a record stands. It has its place in state.records.
type record struct {
	offset    int64 // of its frame, in the whole log
	position  daybook.Position
	changeset uint32
	units     uint16 // payloadUnits of its payload
}

func (r *record) frameSize() int { return int(r.units)*payloadUnit + frameOverhead }

// changeset is what the records of one have in common.
type changeset struct {
	stream  *stream
	number  daybook.ChangesetNumber
	ordinal daybook.Ordinal
	first   daybook.Version
	at      time.Time
	record  uint32 // the first one
	count   uint32
	foreign bool // another program wrote it
}

func (c *changeset) lastVersion() daybook.Version { return c.first + daybook.Version(c.count) - 1 }

// stream is one stream.
type stream struct {
	id      daybook.StreamID
	head    daybook.Head
	from    daybook.Version // of the first record that it ever had
	records []uint32
}

// appendPlace is where the changesets of an append stand.
type appendPlace struct{ changeset, count uint32 }

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

func newState(foreign daybook.StreamID) *state {
	return &state{
		foreign: foreign,
		streams: map[daybook.StreamID]*stream{}, types: map[string][]uint32{}, tags: map[string][]uint32{},
		appends: map[daybook.ID]appendPlace{}, holders: map[claimKey]*stream{},
		latest: unrecorded,
	}
}

// unrecorded is the time of what other programs wrote before Daybook did: they
// keep none.
var unrecorded = time.Unix(0, 0).UTC()

// placed is a frame with its place and its document.
type placed struct {
	frame
	offset int64
	document
}

// add folds the frames of one write.
func (s *state) add(write []placed) {
	for i := 0; i < len(write); {
		p := &write[i]
		switch {
		case p.note == nil:
			s.addForeign(p)
			i++
		default:
			i += s.addChangeset(write[i : i+p.note.Events])
		}
	}
	s.settle(write)
}

// refuses returns why a write cannot stand behind what is folded: the numbers
// that it brings, as those of an import do, must follow.
func (s *state) refuses(write []placed) string {
	last, shift, ordinal := s.last, s.shift, s.ordinal
	var heads map[daybook.StreamID]daybook.Head
	for i := range write {
		n := write[i].note
		if n == nil {
			continue
		}
		if n.Position != 0 {
			shift = int64(n.Position) - int64(write[i].key)
		}
		position := daybook.Position(int64(write[i].key) + shift)
		if position <= last || position > daybook.MaxPlace {
			return "the positions of the records do not rise"
		}
		last = position
		if n.Events == 0 {
			continue
		}
		ordinal++
		if n.Number == 0 {
			continue
		}
		if n.Ordinal < ordinal || n.Ordinal > daybook.MaxPlace {
			return "the ordinals of the changesets do not rise"
		}
		ordinal = n.Ordinal
		id := n.stream()
		head, seen := heads[id]
		if !seen {
			head = s.head(id)
		}
		if n.First < 1 || n.First > daybook.MaxPlace || n.Number > daybook.MaxPlace || n.Number < 1 ||
			head.Version > 0 && (n.First != head.Version+1 || n.Number != head.Changeset+1) {
			return fmt.Sprintf("changeset %d of stream %q begins at version %d, behind changeset %d and version %d", n.Number, id, n.First, head.Changeset, head.Version)
		}
		if heads == nil {
			heads = map[daybook.StreamID]daybook.Head{}
		}
		heads[id] = daybook.Head{Version: n.First + daybook.Version(n.Events) - 1, Changeset: n.Number}
	}
	return ""
}

// addChangeset folds the frames of a changeset, and returns how many they are.
func (s *state) addChangeset(frames []placed) int {
	n := frames[0].note
	on := s.stream(n.stream())
	c := changeset{
		stream: on, number: on.head.Changeset + 1, ordinal: s.ordinal + 1, first: on.head.Version + 1,
		at: n.RecordedAt, record: uint32(len(s.records)), count: uint32(len(frames)),
	}
	if c.at.Before(s.latest) {
		c.at = s.latest // of no writer that has read the log
	}
	if n.Number > 0 {
		c.number, c.ordinal, c.first = n.Number, n.Ordinal, n.First
	}
	place, known := s.appends[n.Append]
	if !known {
		place.changeset = uint32(len(s.changesets))
	}
	place.count++
	s.appends[n.Append] = place
	s.changesets = append(s.changesets, c)
	for i := range frames {
		s.addRecord(&frames[i], frames[i].eventType, frames[i].note.Tags, frames[i].note.Position)
	}
	s.end(on, &c)
	return len(frames)
}

// addForeign folds a frame of another program: a changeset of its own.
func (s *state) addForeign(p *placed) {
	on := s.stream(s.foreign)
	c := changeset{
		stream: on, number: on.head.Changeset + 1, ordinal: s.ordinal + 1, first: on.head.Version + 1,
		at: s.latest, record: uint32(len(s.records)), count: 1, foreign: true,
	}
	s.changesets = append(s.changesets, c)
	s.addRecord(p, foreignType(p.eventType), nil, 0)
	s.end(on, &c)
	s.appends[foreignID("append", p.key)] = appendPlace{uint32(len(s.changesets) - 1), 1}
}

// untyped is the type of an event that tells none.
const untyped = "untyped"

func foreignType(eventType string) string {
	if eventType == "" {
		return untyped
	}
	return eventType
}

// foreignSpace is the name space of the ids of what other programs wrote.
var foreignSpace = uuid.MustParse("6f1d3c0a-4a63-5e0d-9d3b-da7b00c00002")

// foreignID returns the id of an event, or append, that has none of its own:
// the same at every reading.
func foreignID(of string, key uint32) daybook.ID {
	return uuid.NewSHA1(foreignSpace, []byte{of[0], byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)})
}

// addRecord adds a record of the last changeset.
func (s *state) addRecord(p *placed, eventType string, tags []string, position daybook.Position) {
	s.key = p.key
	if position > 0 {
		s.shift = int64(position) - int64(p.key)
	}
	place := uint32(len(s.records))
	s.last = daybook.Position(int64(p.key) + s.shift)
	s.records = append(s.records, record{
		offset: p.offset, position: s.last, changeset: uint32(len(s.changesets) - 1), units: uint16(len(p.payload) / payloadUnit),
	})
	s.types[eventType] = append(s.types[eventType], place)
	for _, tag := range tags {
		s.tags[tag] = append(s.tags[tag], place)
	}
}

// end moves the head of a stream behind a changeset whose records were added.
func (s *state) end(on *stream, c *changeset) {
	if on.head.Version == 0 {
		on.from, on.head.First = c.first, c.first
	}
	for i := range c.count {
		on.records = append(on.records, c.record+i)
	}
	on.head.Version, on.head.Changeset = c.lastVersion(), c.number
	on.head.Position, on.head.RecordedAt = s.last, c.at
	s.ordinal, s.latest = c.ordinal, c.at
}

// settle carries out the releases of each append of a write, then its claims.
func (s *state) settle(write []placed) {
	for from := 0; from < len(write); {
		to := from
		for ; to < len(write); to++ {
			if n := write[to].note; n != nil && n.Events > 0 && to > from && n.Append != write[from].note.Append {
				break
			}
		}
		for _, p := range write[from:to] {
			if p.note != nil {
				for _, pair := range p.note.Releases {
					delete(s.holders, claimKey{p.note.Partition, daybook.Claim{Kind: pair[0], Value: pair[1]}})
				}
			}
		}
		for _, p := range write[from:to] {
			if p.note != nil {
				for _, pair := range p.note.Claims {
					s.holders[claimKey{p.note.Partition, daybook.Claim{Kind: pair[0], Value: pair[1]}}] = s.streams[p.note.stream()]
				}
			}
		}
		from = to
	}
}

// stream returns a stream, made where it is not there.
func (s *state) stream(id daybook.StreamID) *stream {
	on := s.streams[id]
	if on == nil {
		on = &stream{id: id}
		s.streams[id] = on
	}
	return on
}

func (s *state) head(id daybook.StreamID) daybook.Head {
	if on := s.streams[id]; on != nil {
		return on.head
	}
	return daybook.Head{}
}

// receipt returns that of an append that is known.
func (s *state) receipt(id daybook.ID, durability daybook.Durability) (daybook.Receipt, bool) {
	place, known := s.appends[id]
	if !known {
		return daybook.Receipt{}, false
	}
	r := daybook.Receipt{AppendID: id, Durability: durability}
	for _, c := range s.changesets[place.changeset:][:place.count] {
		r.RecordedAt = c.at
		r.Changesets = append(r.Changesets, daybook.ChangesetReceipt{
			Stream: c.stream.id, Number: c.number, Ordinal: c.ordinal, First: c.first, Last: c.lastVersion(),
			FirstPosition: s.records[c.record].position, LastPosition: s.records[c.record+c.count-1].position,
		})
	}
	return r, true
}

// behind returns the first record above a position.
func (s *state) behind(position daybook.Position) uint32 {
	return uint32(sort.Search(len(s.records), func(i int) bool { return s.records[i].position > position }))
}

// matches reports whether a record matches an item of a query.
func (s *state) matches(place uint32, item *daybook.QueryItem) bool {
	in := func(list []uint32) bool {
		_, found := slices.BinarySearch(list, place)
		return found
	}
	if len(item.Types) > 0 && !slices.ContainsFunc(item.Types, func(t string) bool { return in(s.types[t]) }) {
		return false
	}
	for _, tag := range item.Tags {
		if !in(s.tags[tag]) {
			return false
		}
	}
	return true
}

// candidates are lists that together hold every record that matches an item;
// nil, false if all records may.
func (s *state) candidates(item *daybook.QueryItem) ([][]uint32, bool) {
	var lists [][]uint32
	least := -1
	for _, tag := range item.Tags {
		if list := s.tags[tag]; least < 0 || len(list) < least {
			lists, least = [][]uint32{list}, len(list)
		}
	}
	if len(item.Types) == 0 {
		return lists, least >= 0
	}
	total := 0
	for _, t := range item.Types {
		total += len(s.types[t])
	}
	if least >= 0 && least <= total {
		return lists, true
	}
	lists = nil
	for _, t := range item.Types {
		lists = append(lists, s.types[t])
	}
	return lists, true
}

// lastMatch returns the last record that matches a query, of those from a place
// on; false if there is none.
func (s *state) lastMatch(query daybook.Query, from uint32) (found uint32, ok bool) {
	walk := func(list []uint32, item *daybook.QueryItem) {
		for _, place := range slices.Backward(list) {
			if place < from || ok && place <= found {
				return
			}
			if s.matches(place, item) {
				found, ok = place, true
				return
			}
		}
	}
	any := len(query.Items) == 0
	for i := range query.Items {
		lists, some := s.candidates(&query.Items[i])
		any = any || !some
		for _, list := range lists {
			walk(list, &query.Items[i])
		}
	}
	if last := uint32(len(s.records)); any && last > from {
		return last - 1, true
	}
	return found, ok
}

// selection returns the records from one place up to another that match a
// query with items, in order.
func (s *state) selection(query daybook.Query, from, to uint32) []uint32 {
	var all []uint32
	for i := range query.Items {
		item := &query.Items[i]
		lists, some := s.candidates(item)
		if !some {
			all = all[:0]
			for place := from; place < to; place++ {
				all = append(all, place)
			}
			return all
		}
		for _, list := range lists {
			start, _ := slices.BinarySearch(list, from)
			for _, place := range list[start:] {
				if place >= to {
					break
				}
				if s.matches(place, item) {
					all = append(all, place)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
