package storagetest

import (
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// event returns an event as a Store hands it to a driver.
func event(kind string, tags ...string) daybook.Event {
	return daybook.Event{
		ID: daybook.NewID(), Type: kind, ContentType: daybook.ContentTypeJSON,
		Data: []byte(`{"kind":"` + kind + `"}`), Tags: tags,
	}
}

// events returns an event of each type.
func events(kinds ...string) []daybook.Event {
	all := make([]daybook.Event, len(kinds))
	for i, kind := range kinds {
		all[i] = event(kind)
	}
	return all
}

// several returns n events of one type.
func several(n int, kind string, tags ...string) []daybook.Event {
	all := make([]daybook.Event, n)
	for i := range all {
		all[i] = event(kind, tags...)
	}
	return all
}

// changeset returns a changeset that expects nothing, with an event of each
// type.
func changeset(stream string, kinds ...string) daybook.Changeset {
	return daybook.Changeset{Stream: daybook.Stream(stream), Events: events(kinds...)}
}

// single returns an append of one changeset as a Store hands it to a driver.
func single(stream string, expect daybook.Expect, events ...daybook.Event) daybook.Append {
	return daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{
		{Stream: daybook.Stream(stream), Expect: expect, Events: events},
	}}
}

// together returns an append of the changesets as a Store hands it to a
// driver.
func together(changesets ...daybook.Changeset) daybook.Append {
	return daybook.Append{ID: daybook.NewID(), Changesets: changesets}
}

// importTime is the recorded time of the first imported changeset.
var importTime = time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

// recorded returns a changeset to import: the records of a stream from a
// version up, at positions from the given one up by ten.
func recorded(stream string, number daybook.ChangesetNumber, first daybook.Version, position daybook.Position, count int) []daybook.RecordedChangeset {
	c := daybook.RecordedChangeset{
		Stream: daybook.Stream(stream), RecordedAt: importTime.Add(time.Duration(position) * time.Microsecond),
		ChangesetHeader: daybook.ChangesetHeader{Number: number, First: first, Count: count, AppendID: daybook.NewID()},
	}
	header := c.ChangesetHeader
	for i := range count {
		e := event("imported")
		e.OccurredAt = importTime.Add(-time.Hour)
		c.Records = append(c.Records, daybook.Record{
			Event: e, Stream: c.Stream, Version: first + daybook.Version(i), Position: position + daybook.Position(10*i),
			RecordedAt: c.RecordedAt, Changeset: &header,
		})
	}
	return []daybook.RecordedChangeset{c}
}

// want returns the records that an append must have left, if the receipt is
// right. Inside a changeset any rising positions will do: there it is 0.
func want(a daybook.Append, receipt daybook.Receipt) []daybook.Record {
	var all []daybook.Record
	for i, c := range a.Changesets {
		if i >= len(receipt.Changesets) {
			break
		}
		r := receipt.Changesets[i]
		header := &daybook.ChangesetHeader{
			Number: r.Number, Ordinal: r.Ordinal, First: r.First, Count: len(c.Events), AppendID: a.ID,
			Metadata: c.Metadata, Claims: c.Claims, Releases: c.Releases, References: c.References,
		}
		for j, e := range c.Events {
			if e.OccurredAt.IsZero() {
				e.OccurredAt = receipt.RecordedAt
			}
			record := daybook.Record{
				Event: e, Stream: c.Stream, Version: r.First + daybook.Version(j),
				RecordedAt: receipt.RecordedAt, Changeset: header,
			}
			switch j {
			case len(c.Events) - 1:
				record.Position = r.LastPosition
			case 0:
				record.Position = r.FirstPosition
			}
			all = append(all, record)
		}
	}
	return all
}

// numbered returns the name of the nth thing of a kind.
func numbered(kind string, n int) string { return fmt.Sprintf("%s-%d", kind, n) }
