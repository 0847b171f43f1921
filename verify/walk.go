package verify

import (
	"context"
	"time"

	"github.com/daybook-go/daybook"
)

// walk goes through the log and keeps what the later steps compare with.
type walk struct {
	store   *daybook.Store
	options Options
	report  Report
	lasting int64 // findings of lasting kinds
	hasher  hasher

	last    daybook.Position // of the last record walked
	latest  time.Time        // its recorded time
	ordinal daybook.Ordinal  // of the last changeset walked
	longest daybook.ChangesetNumber
	total   digest // of all records walked
	streams map[daybook.StreamID]*stream
	open    changeset // the one that the last record belongs to

	// beginning is false when the log does not start with its first changeset:
	// part of one that was imported. What was referred to may have stood there.
	beginning bool

	appendID  daybook.ID // of the append that the open changeset belongs to
	inAppend  map[daybook.StreamID]bool
	refers    []reference // of that append
	appendIDs *idSet
	claims    claims

	deletions deletions
	missing   int64 // changesets that the ordinals say were there
}

// stream is what the walk keeps of a stream.
type stream struct {
	head   daybook.Head
	digest digest
}

// changeset is the changeset that is being walked.
type changeset struct {
	stream daybook.StreamID
	header *daybook.ChangesetHeader // nil before the first
	hash   uint64                   // of the header
	at     time.Time
	first  daybook.Position
	count  int // records met so far
}

type reference struct {
	from, to daybook.StreamID
	position daybook.Position
}

func newWalk(store *daybook.Store, options *Options) *walk {
	w := &walk{store: store, streams: map[daybook.StreamID]*stream{}, inAppend: map[daybook.StreamID]bool{}, beginning: true}
	if options != nil {
		w.options = *options
	}
	if w.options.MaxFindings <= 0 {
		w.options.MaxFindings = 1000
	}
	if w.options.MaxIDs <= 0 {
		w.options.MaxIDs = 1_000_000
	}
	w.appendIDs = newIDSet(w.options.MaxIDs)
	w.claims.holders = map[claimKey]daybook.StreamID{}
	return w
}

// forwards walks the log from the last record walked up to its present end.
// Called again, it takes in what was added since.
func (w *walk) forwards(ctx context.Context) error {
	end, err := w.store.End(ctx)
	if err != nil {
		return err
	}
	if end < w.last {
		w.found(EndDiffers, daybook.StreamID{}, w.last, "the log ends at position %d, but this one was read", end)
		return nil
	}
	from := w.last
	if end == from {
		return w.nothingIn(ctx)
	}
	for record, err := range w.store.ReadLog(ctx, daybook.LogRead{After: from, To: end}) {
		if err != nil {
			return err
		}
		if record.Position <= from || record.Position > end {
			w.found(OutOfRange, record.Stream, record.Position, "the log was read after %d up to %d", from, end)
		}
		w.record(&record)
		w.progress("log", int64(record.Position-from), int64(end-from))
	}
	w.closeChangeset()
	w.closeAppend()
	if w.last < end {
		deleted, err := w.endIsDeleted(ctx, end)
		if err != nil {
			return err
		}
		if deleted {
			w.last = end
		}
	}
	if w.last != end {
		w.found(EndDiffers, daybook.StreamID{}, end, "the log is said to end here, but reading it ended at position %d", w.last)
	}
	return nil
}

// nothingIn checks, on the first walk, that a log without end is empty.
func (w *walk) nothingIn(ctx context.Context) error {
	if w.last > 0 {
		return nil
	}
	for record, err := range w.store.ReadLog(ctx, daybook.LogRead{Limit: 1}) {
		if err != nil {
			return err
		}
		// It may have been added since the end was asked for.
		end, err := w.store.End(ctx)
		if err == nil && end == 0 {
			w.found(EndDiffers, record.Stream, record.Position, "the log is said to be empty, but holds this record")
		}
		return err
	}
	return nil
}

// record takes in the next record of the log.
func (w *walk) record(r *daybook.Record) {
	w.report.Records++
	w.checkRecord(r)
	if r.Position <= w.last {
		w.found(PositionOrder, r.Stream, r.Position, "comes after position %d", w.last)
	}
	if r.RecordedAt.Before(w.latest) {
		w.found(TimeOrder, r.Stream, r.Position, "recorded at %s, the record before it at %s", r.RecordedAt, w.latest)
	}
	w.last, w.latest = max(w.last, r.Position), r.RecordedAt
	if r.Changeset == nil {
		return // Malformed says so; nothing more can be told of it
	}
	if w.open.header == nil || w.open.stream != r.Stream || w.open.header.Number != r.Changeset.Number {
		w.closeChangeset()
		w.openChangeset(r)
	}
	w.inChangeset(r)
	if r.Version <= w.deletions.gone[r.Stream] {
		w.hidden(r)
	}

	s := w.streams[r.Stream]
	if s == nil {
		s = &stream{head: daybook.Head{First: r.Version}}
		w.streams[r.Stream] = s
	} else if r.Version != s.head.Version+1 {
		w.found(VersionGap, r.Stream, r.Position, "version %d follows version %d", r.Version, s.head.Version)
	}
	s.head.Version, s.head.Changeset = r.Version, r.Changeset.Number
	s.head.Position, s.head.RecordedAt = r.Position, r.RecordedAt
	hash := w.hasher.of(r)
	s.digest.add(hash)
	w.total.add(hash)
}

// checkRecord checks a record in itself.
func (w *walk) checkRecord(r *daybook.Record) {
	wrong := ""
	switch {
	case r.ID == daybook.ID{}:
		wrong = "the event has no id"
	case r.Type == "":
		wrong = "the event has no type"
	case r.ContentType == "":
		wrong = "the event has no content type"
	case r.Version < 1:
		wrong = "the version is not 1 or more"
	case r.Position < 1:
		wrong = "the position is not 1 or more"
	case !isStored(r.RecordedAt):
		wrong = "the recorded time is not a UTC time to the microsecond"
	case !isStored(r.OccurredAt):
		wrong = "the time of the event is not a UTC time to the microsecond"
	case r.Changeset == nil:
		wrong = "the record does not tell its changeset"
	default:
		if err := r.Stream.Validate(); err != nil {
			wrong = "no stream can have this name: " + err.Error()
		}
	}
	if wrong != "" {
		w.found(Malformed, r.Stream, r.Position, "%s", wrong)
	}
}

// isStored reports whether t is a time as a store keeps it.
func isStored(t time.Time) bool {
	return !t.IsZero() && t.Location() == time.UTC && t.Equal(daybook.Microseconds(t))
}

// openChangeset begins the changeset of r, the first record of it.
func (w *walk) openChangeset(r *daybook.Record) {
	header := r.Changeset
	w.report.Changesets++
	w.open = changeset{stream: r.Stream, header: header, hash: w.hasher.ofHeader(header), at: r.RecordedAt, first: r.Position}
	if s := w.streams[r.Stream]; s != nil && header.Number != s.head.Changeset+1 {
		w.found(ChangesetGap, r.Stream, r.Position, "changeset %d follows changeset %d", header.Number, s.head.Changeset)
	}
	w.longest = max(w.longest, header.Number)
	w.checkOrdinal(r)
	if header.AppendID == (daybook.ID{}) || header.AppendID != w.appendID {
		w.closeAppend()
		w.appendID = header.AppendID
		if header.AppendID != (daybook.ID{}) && w.appendIDs.add(header.AppendID) {
			w.reused(r)
		}
	} else if w.inAppend[r.Stream] {
		w.found(AppendIDReused, r.Stream, r.Position, "append %s has two changesets on this stream", header.AppendID)
	}
	w.inAppend[r.Stream] = true
	for _, to := range header.References {
		w.refers = append(w.refers, reference{from: r.Stream, to: to, position: r.Position})
	}
	w.claims.add(r)
}

func (w *walk) checkOrdinal(r *daybook.Record) {
	ordinal := r.Changeset.Ordinal
	switch {
	case w.report.Changesets == 1:
		began := r.Version == 1 || w.deletions.gone[r.Stream] > 0
		w.beginning = ordinal == 0 && began || ordinal > 0 && w.explains(ordinal-1)
	case ordinal == 0 && w.ordinal == 0: // this storage does not count them
	case ordinal <= w.ordinal:
		w.found(OrdinalGap, r.Stream, r.Position, "ordinal %d follows ordinal %d, they must rise", ordinal, w.ordinal)
	case ordinal != w.ordinal+1 && !w.explains(ordinal-w.ordinal-1):
		w.found(OrdinalGap, r.Stream, r.Position, "ordinal %d follows ordinal %d: a changeset is missing here, and no deletion explains it", ordinal, w.ordinal)
	}
	w.ordinal = ordinal
}

func (w *walk) reused(r *daybook.Record) {
	w.found(AppendIDReused, r.Stream, r.Position, "append id %s is also that of an earlier append", r.Changeset.AppendID)
}

// inChangeset checks the next record of the open changeset.
func (w *walk) inChangeset(r *daybook.Record) {
	c := &w.open
	switch {
	case r.Changeset != c.header && w.hasher.ofHeader(r.Changeset) != c.hash:
		w.found(ChangesetHeader, r.Stream, r.Position, "its records do not agree about changeset %d", c.header.Number)
	case !r.RecordedAt.Equal(c.at):
		w.found(ChangesetHeader, r.Stream, r.Position, "its records have different recorded times, %s and %s", c.at, r.RecordedAt)
	case r.Version != c.header.First+daybook.Version(c.count):
		w.found(ChangesetHeader, r.Stream, r.Position, "record %d of changeset %d has version %d, but the changeset begins at version %d",
			c.count+1, c.header.Number, r.Version, c.header.First)
	}
	c.count++
}

// closeChangeset ends the open changeset, if there is one.
func (w *walk) closeChangeset() {
	c := &w.open
	if c.header == nil {
		return
	}
	if c.count != c.header.Count {
		w.found(ChangesetCut, c.stream, c.first, "changeset %d was stored with %d records, %d stand here", c.header.Number, c.header.Count, c.count)
	}
	w.open = changeset{}
}

// closeAppend ends the append that the last changeset belongs to: only now are
// all of its streams and claims known.
func (w *walk) closeAppend() {
	for _, r := range w.refers {
		if w.streams[r.to] == nil && w.beginning && w.deletions.gone[r.to] == 0 {
			w.found(ReferenceGone, r.from, r.position, "refers to stream %q, which did not exist", r.to)
		}
	}
	w.claims.settle(w)
	w.refers = w.refers[:0]
	w.appendID = daybook.ID{}
	clear(w.inAppend)
}
