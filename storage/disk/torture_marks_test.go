package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/daybook-go/daybook"
)

// Whatever a tortured store is given bears marks, each of which stands nowhere
// else: in the data, and now and then in the id, the type, the tags, the context,
// the metadata and a claim. So a look through the files tells what is left of it.
const (
	markFront = "~mark"
	markBytes = 16 // as many as an id has
)

func (r *torture) newMark() string { return fmt.Sprintf("%s%011x", markFront, r.random.Uint64()>>20) }

// marksIn adds the marks that stand in b.
func marksIn(marks []string, b []byte) []string {
	for {
		at := bytes.Index(b, []byte(markFront))
		if at < 0 || at+markBytes > len(b) {
			return marks
		}
		marks = append(marks, string(b[at:at+markBytes]))
		b = b[at+markBytes:]
	}
}

// markedChangeset is a changeset in the log, and the marks of its content.
type markedChangeset struct {
	stream daybook.StreamID
	last   daybook.Version
	marks  []string
}

func marksOf(c *daybook.Changeset) (marks []string) {
	marks = marksIn(marks, c.Metadata)
	for _, claims := range [][]daybook.Claim{c.Claims, c.Releases} {
		for _, claim := range claims {
			marks = marksIn(marks, []byte(claim.Value))
		}
	}
	for i := range c.Events {
		marks = marksOfEvent(marks, &c.Events[i])
	}
	return marks
}

func marksOfRecords(c *daybook.RecordedChangeset) (marks []string) {
	for i := range c.Records {
		marks = marksOfEvent(marks, &c.Records[i].Event)
	}
	return marks
}

func marksOfEvent(marks []string, e *daybook.Event) []string {
	for _, piece := range append([]string{string(e.ID[:]), e.Type, e.Context.Who, e.Context.Commentary}, e.Tags...) {
		marks = marksIn(marks, []byte(piece))
	}
	return marksIn(marksIn(marks, e.Data), e.Context.Metadata)
}

// mark puts marks into an event.
func (r *torture) mark(e *daybook.Event) {
	mark := r.newMark()
	if len(e.Data) >= markBytes {
		copy(e.Data, mark)
		copy(e.Data[len(e.Data)-markBytes:], mark)
	}
	if r.random.IntN(4) == 0 {
		copy(e.ID[:], mark)
	}
	if r.random.IntN(8) == 0 {
		e.Type += mark
	}
	if r.random.IntN(8) == 0 {
		e.Tags = append(e.Tags, mark)
	}
	if r.random.IntN(8) == 0 {
		e.Context.Who, e.Context.Commentary, e.Context.Metadata = mark, mark, fmt.Appendf(nil, "%q", mark)
	}
}

// due returns the marks that stand in no file once what was deleted is compacted:
// all of it, or what is to be scrubbed by the deletions up to one.
func (h *history) due(scrubsOnly bool, until daybook.DeletionNumber) map[string]bool {
	through := map[daybook.StreamID]daybook.Version{}
	for i := range h.deeds {
		d := &h.deeds[i]
		if d.deletion == nil || scrubsOnly && (!d.deletion.Scrub || d.deleted.Number > until) {
			continue
		}
		hidden := d.deleted.Through
		if scrubsOnly && d.deletion.Through > 0 {
			hidden = min(hidden, d.deletion.Through)
		}
		through[d.deletion.Stream] = max(through[d.deletion.Stream], hidden)
	}
	due, kept := map[string]bool{}, map[string]bool{}
	for i := range h.deeds {
		for _, c := range h.deeds[i].changesets() {
			in := kept
			if c.last <= through[c.stream] {
				in = due
			}
			for _, mark := range c.marks {
				in[mark] = true
			}
			for _, claim := range h.heldBy(&h.deeds[i], c.stream) {
				kept[claim] = true
			}
		}
	}
	maps.DeleteFunc(due, func(mark string, _ bool) bool { return kept[mark] })
	return due
}

// heldBy returns the marks of the claims that a deed has taken for a stream, which
// still holds them.
func (h *history) heldBy(d *deed, stream daybook.StreamID) (held []string) {
	for _, c := range d.append.Changesets {
		for _, claim := range c.Claims {
			holder, ok, err := h.store.ClaimHolder(context.Background(), stream.Partition, claim)
			if err == nil && ok && holder == stream && c.Stream == stream {
				held = marksIn(held, []byte(claim.Value))
			}
		}
	}
	return held
}

// compacted takes in that a compaction has ended well which began when these marks
// were due, and that deletion was the last.
func (m *model) compacted(due map[string]bool, last daybook.DeletionNumber) {
	maps.Copy(m.gone, due)
	m.scrubbed = max(m.scrubbed, last)
}

// scrub takes in that the store said that the scrubs up to a deletion are done,
// perhaps by a compaction that never answered: then it is not known what claims
// were held.
func (m *model) scrub(last daybook.DeletionNumber) {
	if last <= m.scrubbed {
		return
	}
	m.scrubbed = last
	due := m.due(true, last)
	for i := range m.deeds {
		for _, c := range m.deeds[i].append.Changesets {
			for _, claim := range c.Claims {
				for _, mark := range marksIn(nil, []byte(claim.Value)) {
					delete(due, mark)
				}
			}
		}
	}
	maps.Copy(m.gone, due)
}

// search looks through all files for what they may not hold any more.
func (r *torture) search() error {
	if len(r.model.gone) == 0 {
		return nil
	}
	for _, name := range r.disk.List(tortureDir) {
		seen, synced := r.disk.Read(filepath.Join(tortureDir, name))
		for _, data := range [][]byte{seen, synced} {
			for _, mark := range marksIn(nil, data) {
				if r.model.gone[mark] {
					return brokenf("%s holds %q, which was removed", name, mark)
				}
			}
		}
	}
	return nil
}
