package globalorder

import "github.com/daybook-go/daybook"

// What a page needs besides texts and data, at most, in bytes: for itself, for
// an append, a changeset and an event.
const (
	pageRoom      = 512
	appendRoom    = 32
	changesetRoom = 64
	eventRoom     = 16
)

// What limits reckon for the texts' lengths too.
const (
	changesetCost = 96
	eventCost     = 64
)

// Limits is that of daybook.Limiter: what fits into a page, whatever it is made
// of. An append of many short texts (a hundred tags of one byte each) may meet
// the size of a page earlier, and is refused with a *daybook.LimitError too.
func (e *Engine) Limits() daybook.Limits {
	page := int64(e.options.PageBytes) - pageRoom - appendRoom
	events := min(10_000, page/4/eventCost)
	changesets := min(1000, page/8/changesetCost, int64(e.options.PageRows)-1)
	size := page - events*eventCost - changesets*changesetCost
	return daybook.Limits{AppendBytes: size, EventBytes: size, Events: events, Changesets: changesets}
}

// checkSize refuses what does not fit into a page, in bytes or in rows.
func (e *Engine) checkSize(size, rows int, field string) error {
	if rows > e.options.PageRows {
		return &daybook.LimitError{Field: field, Value: int64(rows), Limit: int64(e.options.PageRows), Unit: "rows: one for each append, changeset, claim and release"}
	}
	if size <= e.options.PageBytes-pageRoom {
		return nil
	}
	return &daybook.LimitError{Field: field, Value: int64(size), Limit: int64(e.options.PageBytes - pageRoom), Unit: "bytes, with all that is kept beside the data"}
}

// sizeOf returns how much of a page changesets take at most.
func sizeOf(changesets []daybook.Changeset) int {
	size := appendRoom
	for i := range changesets {
		c := &changesets[i]
		header := daybook.ChangesetHeader{Metadata: c.Metadata, Claims: c.Claims, Releases: c.Releases, References: c.References}
		size += headerSize(c.Stream, &header)
		for j := range c.Events {
			size += eventSize(&c.Events[j])
		}
	}
	return size
}

// rowsOf returns how many rows an append leads to.
func rowsOf(changesets []daybook.Changeset) int {
	rows := 1
	for i := range changesets {
		rows += 1 + len(changesets[i].Claims) + len(changesets[i].Releases)
	}
	return rows
}

// rowsOfRecorded returns how many rows an import leads to at most.
func rowsOfRecorded(changesets []daybook.RecordedChangeset) int {
	rows := 0
	for i := range changesets {
		rows += 2 + len(changesets[i].Claims) + len(changesets[i].Releases)
	}
	return rows
}

func headerSize(stream daybook.StreamID, header *daybook.ChangesetHeader) int {
	w := &writer{}
	w.stream(stream)
	w.header(header)
	return len(w.bytes) + changesetRoom
}

func eventSize(event *daybook.Event) int {
	w := &writer{}
	w.event(event)
	return len(w.bytes) + len(event.Data) + eventRoom
}

func sizeOfRecorded(changesets []daybook.RecordedChangeset) int {
	size := 0
	for i := range changesets {
		c := &changesets[i]
		size += appendRoom + headerSize(c.Stream, &c.ChangesetHeader)
		for j := range c.Records {
			size += eventSize(&c.Records[j].Event)
		}
	}
	return size
}
