package wire

import (
	"slices"
	"strconv"

	"github.com/daybook-go/daybook"
)

// quickAppend is DecodeAppend for documents that are written the common way.
// It returns exactly what DecodeAppend returns without it, or ok false. Data
// and metadata share the memory of the body.
func quickAppend(body []byte) (a daybook.Append, ok bool) {
	s := newScanner(body)
	var seen fields
	s.object(func(key []byte) {
		switch string(key) {
		case "append_id":
			seen.once(s, 0)
			if id := s.text(); id != "" {
				a.ID = daybook.IDOf(id)
			}
		case "changesets":
			seen.once(s, 1)
			s.array(func() { a.Changesets = append(a.Changesets, s.changeset()) })
		case "condition":
			seen.once(s, 2)
			var c Condition
			s.into(&c)
			a.Condition = &daybook.Condition{Query: c.Query.Query(), After: c.After}
		case "durability":
			seen.once(s, 3)
			var err error
			if a.Durability, err = ParseDurability(s.text()); err != nil {
				s.giveUp()
			}
		default:
			s.giveUp()
		}
	})
	return a, s.end()
}

// fields are the members of an object that were seen, a bit for each.
type fields uint32

// once notes a member, and gives up where it stands twice.
func (f *fields) once(s *scanner, bit int) {
	if *f&(1<<bit) != 0 {
		s.giveUp()
	}
	*f |= 1 << bit
}

// mostRoom is for how many events room is made ahead.
const mostRoom = 256

func (s *scanner) changeset() (c daybook.Changeset) {
	var seen fields
	s.object(func(key []byte) {
		switch string(key) {
		case "stream_id":
			seen.once(s, 0)
			c.Stream.Name = s.text()
		case "partition":
			seen.once(s, 1)
			c.Stream.Partition = s.text()
		case "expect":
			seen.once(s, 2)
			c.Expect = s.expect()
		case "events":
			seen.once(s, 3)
			s.array(func() {
				from := s.at
				c.Events = append(c.Events, s.event())
				if len(c.Events) == 1 && !s.bad { // make room for all, if they are alike
					c.Events = slices.Grow(c.Events, min((len(s.data)-s.at)/(s.at-from), mostRoom))
				}
			})
		case "metadata":
			seen.once(s, 4)
			c.Metadata = s.value()
		case "claims":
			seen.once(s, 5)
			c.Claims = claims(s)
		case "releases":
			seen.once(s, 6)
			c.Releases = claims(s)
		case "references":
			seen.once(s, 7)
			var ids []StreamID
			s.into(&ids)
			c.References = convert(ids, StreamID.ID)
		default: // what holds bytes in another form, too
			s.giveUp()
		}
	})
	return c
}

func (s *scanner) expect() (e daybook.Expect) {
	if s.peek() == '{' {
		var seen fields
		s.object(func(key []byte) {
			seen.once(s, 0) // one place only
			n, err := strconv.ParseInt(string(s.value()), 10, 64)
			switch {
			case err != nil:
				s.giveUp()
			case string(key) == "version":
				e = daybook.ExpectVersion(daybook.Version(n))
			case string(key) == "changeset":
				e = daybook.ExpectChangeset(daybook.ChangesetNumber(n))
			default:
				s.giveUp()
			}
		})
		if seen == 0 {
			s.giveUp()
		}
		return e
	}
	switch s.text() {
	case "any":
	case "none":
		e = daybook.ExpectNone()
	case "exists":
		e = daybook.ExpectExists()
	default:
		s.giveUp()
	}
	return e
}

func claims(s *scanner) []daybook.Claim {
	var list []Claim
	s.into(&list)
	return convert(list, Claim.Claim)
}

func (s *scanner) event() (e daybook.Event) {
	var seen fields
	s.object(func(key []byte) {
		switch string(key) {
		case "id":
			seen.once(s, 0)
			if e.ID.UnmarshalText(s.plain()) != nil {
				s.giveUp()
			}
		case "type":
			seen.once(s, 1)
			if text := s.plain(); string(text) != s.eventType {
				s.eventType = string(text)
			}
			e.Type = s.eventType
		case "content_type":
			seen.once(s, 2)
			e.ContentType = s.text()
		case "tags":
			seen.once(s, 3)
			s.array(func() { e.Tags = append(e.Tags, s.text()) })
		case "occurred_at":
			seen.once(s, 4)
			if raw := s.value(); s.bad || raw[0] == 'n' || e.OccurredAt.UnmarshalJSON(raw) != nil {
				s.giveUp()
			}
			e.OccurredAt = daybook.Microseconds(e.OccurredAt)
		case "context":
			seen.once(s, 5)
			e.Context = s.context()
		case "data":
			seen.once(s, 6)
			e.Data = s.value()
		default: // what holds bytes in another form, too
			s.giveUp()
		}
	})
	return e
}

func (s *scanner) context() daybook.Context {
	var c Context
	s.into(&c)
	whole := Event{Context: c}
	event, err := whole.Event()
	if err != nil {
		s.giveUp()
	}
	return event.Context
}
