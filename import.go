package daybook

import (
	"context"
	"fmt"
)

// Import stores changesets as they were recorded elsewhere, on the terms of
// Importer: all of them, or none. Of their records it takes the event, the
// version and the position; the rest is told by the changeset.
//
// It fails with *InvalidError or *LimitError for changesets that are wrong in
// themselves or cannot follow the end of the log, and with *UnsupportedError
// where the driver gives its own positions. An import whose outcome is unknown
// must not be repeated blindly: see first where the log ends.
func (s *Store) Import(ctx context.Context, changesets []RecordedChangeset) error {
	driver, ok := s.driver.(Importer)
	if !ok {
		return s.unsupported("importing with positions kept")
	}
	if err := s.limits.checkImport(changesets); err != nil {
		return err
	}
	return driver.Import(ctx, normalRecorded(changesets))
}

// normalRecorded returns changesets as they are handed to a driver: like those
// of an append, with every record's time and header that of its changeset.
func normalRecorded(changesets []RecordedChangeset) []RecordedChangeset {
	normal := make([]RecordedChangeset, len(changesets))
	for i, c := range changesets {
		c.RecordedAt = Microseconds(c.RecordedAt)
		header := c.ChangesetHeader
		records := make([]Record, len(c.Records))
		for j, r := range c.Records {
			r.Event.normalize()
			r.RecordedAt, r.Changeset = c.RecordedAt, &header
			records[j] = r
		}
		c.Records = records
		normal[i] = c
	}
	return normal
}

// checkImport returns the first thing that is wrong with the changesets in
// themselves; how they fit the log is for the driver to say.
func (l Limits) checkImport(changesets []RecordedChangeset) error {
	var last Position
	for i := range changesets {
		c := &changesets[i]
		if err := l.checkRecorded(c, last); err != nil {
			return inside(err, "changesets[%d]", i)
		}
		last = c.Records[len(c.Records)-1].Position
		if i > 0 && c.RecordedAt.Before(changesets[i-1].RecordedAt) {
			return &InvalidError{Field: fmt.Sprintf("changesets[%d].recorded_at", i), Value: c.RecordedAt.String(), Reason: "must not fall"}
		}
	}
	return nil
}

// checkRecorded checks one changeset of an import whose records must lie above
// a position.
func (l Limits) checkRecorded(c *RecordedChangeset, above Position) error {
	shape := Changeset{
		Stream: c.Stream, Metadata: c.Metadata, Claims: c.Claims, Releases: c.Releases,
		References: c.References, Events: make([]Event, len(c.Records)),
	}
	for i := range c.Records {
		shape.Events[i] = c.Records[i].Event
	}
	if _, err := l.checkChangeset(&shape); err != nil {
		return err
	}
	switch {
	case c.Number < 1 || c.Number > MaxPlace:
		return outOfPlace("number", 1, int64(c.Number))
	case c.First < 1 || c.First > MaxPlace:
		return outOfPlace("first", 1, int64(c.First))
	case c.Ordinal < 0 || c.Ordinal > MaxPlace:
		return outOfPlace("ordinal", 0, int64(c.Ordinal))
	case c.Count != len(c.Records):
		return &InvalidError{Field: "count", Value: fmt.Sprint(c.Count), Reason: fmt.Sprintf("must be the number of its records, %d", len(c.Records))}
	case c.AppendID == ID{}:
		return &InvalidError{Field: "append_id", Value: c.AppendID.String(), Reason: "must not be zero"}
	case c.RecordedAt.IsZero() || !c.RecordedAt.Equal(Microseconds(c.RecordedAt)):
		return &InvalidError{Field: "recorded_at", Value: c.RecordedAt.String(), Reason: "must be a time to the microsecond"}
	}
	if err := checkYear("recorded_at", c.RecordedAt); err != nil {
		return err
	}
	for i := range c.Records {
		r := &c.Records[i]
		switch {
		case r.Position <= above:
			return &InvalidError{Field: fmt.Sprintf("records[%d].position", i), Value: fmt.Sprint(r.Position), Reason: fmt.Sprintf("must lie above %d", above)}
		case r.Position > MaxPlace:
			return inside(outOfPlace("position", 1, int64(r.Position)), "records[%d]", i)
		case r.Version != c.First+Version(i):
			return &InvalidError{Field: fmt.Sprintf("records[%d].version", i), Value: fmt.Sprint(r.Version), Reason: fmt.Sprintf("must be %d", c.First+Version(i))}
		case r.Stream != c.Stream:
			return &InvalidError{Field: fmt.Sprintf("records[%d].stream_id", i), Value: quote(r.Stream.String()), Reason: "must be that of its changeset"}
		case r.ID == ID{}:
			return &InvalidError{Field: fmt.Sprintf("records[%d].id", i), Value: r.ID.String(), Reason: "must not be zero"}
		}
		above = r.Position
	}
	return nil
}

// outOfPlace refuses a place that leaves no room behind it, or is none.
func outOfPlace(field string, least, value int64) error {
	return &InvalidError{Field: field, Value: fmt.Sprint(value), Reason: fmt.Sprintf("must lie between %d and %d", least, int64(MaxPlace))}
}
