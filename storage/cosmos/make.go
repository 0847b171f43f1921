package cosmos

import (
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// made is what one append adds to a plan.
type made struct {
	job     *job
	append  part
	events  []part
	streams map[string]*streamBody
	claims  map[daybook.Claim]*string
	receipt daybook.Receipt
	records int64
	created int64 // how many streams are new
	longest int64
	bytes   int
}

// mostMembers is how large the data of an append may be for their members to be
// written a second time.
const mostMembers = 256 << 10

// make makes the operations of an append whose demands hold behind the plan.
func (p *plan) make(j *job) *made {
	a := j.append
	m := &made{job: j, streams: map[string]*streamBody{}, claims: map[daybook.Claim]*string{}, longest: p.head.Longest}
	m.receipt = daybook.Receipt{AppendID: a.ID, RecordedAt: p.at, Durability: daybook.DurabilityCloud}
	stored := appendBody{Item: "append", Partition: p.queue.partition, Commit: p.begin}
	if p.queue.partition == "" {
		stored.Commit, stored.RecordedAt = 0, &p.at
	}
	members := !p.queue.driver.options.NoMembers && dataSize(a) <= mostMembers
	for i := range a.Changesets {
		p.makeChangeset(m, &a.Changesets[i], int64(i), members)
		c := &m.receipt.Changesets[i]
		stored.Changesets = append(stored.Changesets, appendedChangesets{
			Stream: c.Stream.Name, Number: c.Number, First: c.First, Count: int(c.Last-c.First) + 1, Place: int64(c.FirstPosition), Turn: int64(c.Ordinal),
		})
		for _, claim := range a.Changesets[i].Releases {
			m.claims[claim] = nil
		}
	}
	for i := range a.Changesets {
		for _, claim := range a.Changesets[i].Claims {
			m.claims[claim] = &a.Changesets[i].Stream.Name
		}
	}
	m.append = part{
		operation: operation{verb: "create", id: appendID(a.ID), body: itemOf(appendID(a.ID), p.queue.partition, stored)}, kind: partAppend, job: j,
	}
	m.bytes += m.append.size() + len(m.streams)*2048 + len(m.claims)*1024 + 4096
	for claim := range m.claims {
		m.bytes += len(claim.Kind) + 2*len(claim.Value)
	}
	for name := range m.streams {
		m.bytes += 4 * len(name)
	}
	return m
}

func dataSize(a *daybook.Append) (size int) {
	for i := range a.Changesets {
		for j := range a.Changesets[i].Events {
			size += len(a.Changesets[i].Events[j].Data)
		}
	}
	return size
}

// makeChangeset makes the events of the nth changeset of an append.
func (p *plan) makeChangeset(m *made, c *daybook.Changeset, n int64, members bool) {
	before := p.stream(c.Stream.Name)
	stream := p.next(before, c.Stream.Name)
	first := stream.Version + 1
	stream.Version += daybook.Version(len(c.Events))
	stream.Changeset++
	if before == nil {
		m.created++
	}
	m.longest = max(m.longest, int64(stream.Changeset))

	place, turn := p.head.Places+m.records+1, p.head.Turns+n+1
	if p.queue.partition == "" {
		place, turn = int64(p.log.Position)+m.records+1, int64(p.log.Ordinal)+n+1
	}
	about := &changesetBody{Metadata: c.Metadata, Claims: c.Claims, Releases: c.Releases, References: c.References}
	if len(c.Metadata)+len(c.Claims)+len(c.Releases)+len(c.References) == 0 {
		about = nil
	}
	_, members = p.finapsReads(stream, members)
	for i := range c.Events {
		e := &c.Events[i]
		body := &eventBody{
			Item: "event", Partition: p.queue.partition, Stream: c.Stream.Name, Number: stream.Changeset, First: first, Count: len(c.Events),
			Append: m.job.append.ID,
		}
		body.setEvent(e)
		p.stand(body, place+int64(i), turn)
		if body.Changeset, body.More = about, about != nil; i > 0 {
			body.Changeset = nil
		}
		m.addEvent(p.eventPart(m.job, stream, e, first+daybook.Version(i), body, members))
	}
	p.standAt(stream, place+int64(len(c.Events)-1))
	m.streams[c.Stream.Name] = stream
	m.records += int64(len(c.Events))
	m.receipt.Changesets = append(m.receipt.Changesets, daybook.ChangesetReceipt{
		Stream: c.Stream, Number: stream.Changeset, Ordinal: daybook.Ordinal(turn), First: first, Last: stream.Version,
		FirstPosition: daybook.Position(place), LastPosition: daybook.Position(place + int64(len(c.Events)-1)),
	})
}

// finapsReads reports whether Finaps's library can read a stream: its name is
// that of an aggregate, and it is in a partition that a GUID names.
func (p *plan) finapsReads(stream *streamBody, members bool) (reads, withMembers bool) {
	_, known := foreignPartition(partitionID(p.queue.partition))
	reads = known && streamName(aggregate{stream.AggregateType, stream.AggregateID}) == stream.Name
	return reads, reads && members
}

// next returns a copy of where a stream ends, to be moved on.
func (p *plan) next(stream *streamBody, name string) *streamBody {
	if stream != nil {
		moved := *stream
		return &moved
	}
	a := aggregateOf(name)
	if p.state.taken[name] {
		a = derivedAggregate(name)
	}
	return &streamBody{Item: "stream", Name: name, Sort: sortKey(name), AggregateType: a.kind, AggregateID: a.id, First: 1}
}

// stand says where an event stands.
func (p *plan) stand(body *eventBody, place, turn int64) {
	if p.queue.partition == "" {
		body.Position, body.Ordinal, body.RecordedAt = daybook.Position(place), daybook.Ordinal(turn), &p.at
		return
	}
	body.Commit, body.Place, body.Turn = p.begin, place, turn
}

// standAt says where the last event of a stream stands.
func (p *plan) standAt(stream *streamBody, place int64) {
	if p.queue.partition == "" {
		stream.Position, stream.RecordedAt = daybook.Position(place), &p.at
		return
	}
	stream.Commit, stream.Place = p.begin, place
}

// eventPart makes the item of an event.
func (p *plan) eventPart(j *job, stream *streamBody, e *daybook.Event, version daybook.Version, body *eventBody, members bool) part {
	at := e.OccurredAt
	if at.IsZero() {
		at = p.at
	}
	i := eventItem{
		ID: eventID(stream.AggregateID, version), PartitionID: partitionID(p.queue.partition), AggregateID: stream.AggregateID,
		AggregateType: stream.AggregateType, Kind: kindEvent, Type: e.Type, Index: int64(version - 1), Timestamp: timestampOf(at), Daybook: body,
	}
	members = members && e.ContentType == daybook.ContentTypeJSON
	return part{
		operation: operation{verb: "create", id: i.ID, body: i.encode(e.Data, members)}, kind: partEvent, job: j, stream: stream.Name,
	}
}

func (m *made) addEvent(e part) {
	m.events = append(m.events, e)
	m.bytes += e.size()
}

// take moves the plan behind what an append adds.
func (p *plan) take(m *made) {
	p.appends = append(p.appends, m.append)
	p.events = append(p.events, m.events...)
	for name, stream := range m.streams {
		p.streams[name] = stream
	}
	for claim, holder := range m.claims {
		p.claims[claim] = holder
	}
	p.bytes += m.bytes
	m.job.receipt = m.receipt
	turns := int64(len(m.receipt.Changesets))
	p.head.Places += m.records
	p.head.Turns += turns
	p.head.Streams += m.created
	p.head.Longest = m.longest
	if p.queue.partition == "" {
		p.log.Position += daybook.Position(m.records)
		p.log.Ordinal += daybook.Ordinal(turns)
		p.log.Streams += m.created
		p.log.Longest = max(p.log.Longest, m.longest)
	}
}

// commit returns what the plan adds to a partition other than the default one,
// to be put into the log.
func (p *plan) commit() commit {
	c := commit{Place: p.begin, Turn: p.before.Turns + 1, Count: p.head.Places - p.before.Places, Turns: p.head.Turns - p.before.Turns}
	for _, j := range p.jobs {
		if j.append != nil && !slices.Contains(c.Appends, j.append.ID) {
			c.Appends = append(c.Appends, j.append.ID)
		}
	}
	return c
}

// utc returns a time that may be missing.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
