package router

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// entryType is the event type of an entry.
const entryType = "taken"

// entryData is an entry as it is stored: in full, so that any one of them says
// all that was settled up to it.
type entryData struct {
	Takes  []takeData          `json:"takes"`
	Ends   map[string]endsData `json:"ends"` // by store, of those that have come beyond 0
	Latest time.Time           `json:"latest"`
}

type takeData struct {
	Store     string    `json:"store"`
	Deletions bool      `json:"deletions,omitempty"`
	After     int64     `json:"after"`
	Through   int64     `json:"through"`
	At        int64     `json:"at"`
	Floor     time.Time `json:"floor"`
}

type endsData struct {
	Records   int64 `json:"records"`
	Deletions int64 `json:"deletions,omitempty"`
}

// encode returns the append of an entry.
func (o *order) encode(e *entry) (daybook.Append, error) {
	data := entryData{Ends: map[string]endsData{}, Latest: e.latest}
	for _, t := range e.takes {
		data.Takes = append(data.Takes, takeData{
			Store: o.names[t.line/kinds], Deletions: t.line%kinds == deletions,
			After: t.after, Through: t.through, At: t.at, Floor: t.floor,
		})
	}
	for m, name := range o.names {
		ends := endsData{Records: e.ends[line(m, records)], Deletions: e.ends[line(m, deletions)]}
		if ends != (endsData{}) {
			data.Ends[name] = ends
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return daybook.Append{}, err
	}
	return daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{
		Stream: daybook.Stream(orderStream), Expect: daybook.ExpectVersion(e.version - 1),
		Events: []daybook.Event{{ID: daybook.NewID(), Type: entryType, ContentType: daybook.ContentTypeJSON, Data: text}},
	}}}, nil
}

// decode reads an entry and checks that it can be one.
func (o *order) decode(record *daybook.Record) (entry, error) {
	e := entry{version: record.Version, place: record.Position, ends: make([]int64, kinds*len(o.names))}
	var data entryData
	if err := json.Unmarshal(record.Data, &data); err != nil || record.Type != entryType {
		return entry{}, o.corrupt(e.version, "it is not one that a router has written")
	}
	for name, ends := range data.Ends {
		m := slices.Index(o.names, name)
		if m < 0 {
			return entry{}, &daybook.InvalidError{
				Field: "stores", Value: quoted(o.names), Reason: "must hold " + quoted([]string{name}) + ", which stands in the order: no store may be taken away, or renamed",
			}
		}
		e.ends[line(m, records)], e.ends[line(m, deletions)] = ends.Records, ends.Deletions
	}
	for _, t := range data.Takes {
		m, kind := slices.Index(o.names, t.Store), records
		if t.Deletions {
			kind = deletions
		}
		if m < 0 || t.After < 0 || t.Through <= t.After || e.ends[line(m, kind)] != t.Through {
			return entry{}, o.corrupt(e.version, "it takes in what cannot be, of store %q", t.Store)
		}
		e.takes = append(e.takes, take{line: line(m, kind), after: t.After, through: t.Through, at: t.At, floor: t.Floor.UTC()})
	}
	if len(e.takes) == 0 {
		return entry{}, o.corrupt(e.version, "it takes in nothing")
	}
	e.latest = data.Latest.UTC()
	return e, nil
}
