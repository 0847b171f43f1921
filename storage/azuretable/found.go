package azuretable

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
)

// Found implements globalorder.Adopter. It yields the rows that MessageHandler's
// library has written: partition = stream type, row = `<source>_<6-digit
// version>`, each an append of its own. They come in the order of their
// timestamps, but those of a stream in that of their versions. All of them are
// held in memory.
func (s *storage) Found(ctx context.Context) iter.Seq2[daybook.RecordedChangeset, error] {
	return func(yield func(daybook.RecordedChangeset, error) bool) {
		var found []daybook.RecordedChangeset
		last := map[daybook.StreamID]int{} // the last one of each stream in found
		for row, err := range s.query(ctx, foundFilter, nil) {
			if err == nil {
				var c daybook.RecordedChangeset
				var is bool
				if c, is, err = readFound(row); is {
					if before, has := last[c.Stream]; has {
						c.RecordedAt = later(c.RecordedAt, found[before].RecordedAt)
					}
					last[c.Stream] = len(found)
					found = append(found, c)
				}
			}
			if err != nil {
				yield(daybook.RecordedChangeset{}, err)
				return
			}
		}
		slices.SortStableFunc(found, func(a, b daybook.RecordedChangeset) int { return a.RecordedAt.Compare(b.RecordedAt) })
		for _, c := range found {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// foundFilter leaves out the partitions of the driver.
const foundFilter = "PartitionKey lt '" + separator + "' or PartitionKey ge '" + "!\"" + "'"

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// readFound returns what a row of the seed says; false for one that is in the
// log, and for one that has no version in its key.
func readFound(row *entity) (daybook.RecordedChangeset, bool, error) {
	if row.has("Position") && (row.has("Daybook") || row.has("InPage")) {
		return daybook.RecordedChangeset{}, false, nil
	}
	partition := row.readText("PartitionKey")
	at := strings.LastIndex(row.key(), "_")
	if at < 0 {
		return daybook.RecordedChangeset{}, false, nil
	}
	version, err := strconv.ParseInt(row.key()[at+1:], 10, 64)
	if err != nil || len(row.key())-at-1 < 6 {
		return daybook.RecordedChangeset{}, false, nil
	}
	if version < 1 {
		return daybook.RecordedChangeset{}, false, fmt.Errorf("row %q of partition %q: its version is %d, the first must be 1", row.key(), partition, version)
	}
	columns := row.columns()
	id := daybook.StreamID{Name: partition + "-" + row.key()[:at]}
	if err := id.Validate(); err != nil {
		return daybook.RecordedChangeset{}, false, fmt.Errorf("row %q of partition %q: %w", row.key(), partition, err)
	}
	place := "azuretable:" + partition + "\x00" + row.key()
	recorded := row.readTime("Timestamp")
	event := daybook.Event{
		ID: daybook.IDOf(place), Type: cmp.Or(columns.text("eventtype", "type"), "event"), ContentType: daybook.ContentTypeJSON,
		Data:    row.readContent(cmp.Or(columns.name("body", "data", "payload"), "Body")),
		Context: daybook.Context{Who: columns.text("who")},
	}
	if given, err := uuid.Parse(columns.text("eventid", "id")); err == nil && given != (daybook.ID{}) {
		event.ID = given
	}
	if when, err := time.Parse(time.RFC3339Nano, columns.text("when")); err == nil {
		event.OccurredAt = daybook.Microseconds(when)
	}
	c := daybook.RecordedChangeset{Stream: id, RecordedAt: recorded, Records: []daybook.Record{{Event: event, Version: daybook.Version(version)}}}
	c.First, c.Count, c.AppendID = daybook.Version(version), 1, daybook.IDOf(place+"\x00append")
	return c, true, nil
}

// columns are the names of a row's columns, by themselves in small letters.
type columns struct {
	row   *entity
	names map[string]string
}

func (e *entity) columns() columns {
	c := columns{e, map[string]string{}}
	for name := range e.values {
		c.names[strings.ToLower(name)] = name
	}
	return c
}

// name returns the first of the columns that the row has; "" for none.
func (c columns) name(small ...string) string {
	for _, name := range small {
		if c.names[name] != "" {
			return c.names[name]
		}
	}
	return ""
}

func (c columns) text(small ...string) string {
	if name := c.name(small...); name != "" {
		return c.row.readText(name)
	}
	return ""
}
