package disk

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// deletions compares the deletions of a part, by number and by id, and keeps
// what they hide until all segments of the file were read.
func (a *agreement) deletions(p *part) error {
	for _, want := range p.made {
		found, err := a.deletion(want.Receipt.Number)
		if err != nil {
			return err
		}
		number := want.Receipt.Number
		switch {
		case found == nil || found.Receipt.Number != number:
			a.differ(p.first, "deletion %d, of stream %q, is missing in it", number, want.Stream)
		case !bytes.Equal(found.tell(nil), want.tell(nil)):
			a.differ(p.first, "deletion %d, of stream %q, is another in it: %s", number, want.Stream, found.differences(want))
		default:
			a.tally.Deletions++
		}
		by, known, err := a.run.DeletionNumber(want.ID)
		switch {
		case err != nil:
			return err
		case !known:
			a.differ(p.first, "deletion %d cannot be found by its id %s in it", number, want.ID)
		case by != number:
			a.differ(p.first, "the id %s leads to deletion %d in it, not to %d", want.ID, by, number)
		default:
			a.tally.DeletionIDs++
		}
	}
	for id, h := range p.hidden {
		all := a.hidden[id]
		all.Add(h)
		a.hidden[id] = all
	}
	return nil
}

// deletion returns what the file tells first from a number on; nil if there is
// nothing, or it cannot be decoded.
func (a *agreement) deletion(number daybook.DeletionNumber) (*deletion, error) {
	for told, err := range a.run.Deletions(number - 1) {
		if err != nil {
			return nil, err
		}
		if d, err := toldDeletion(told); err == nil {
			return d, nil
		}
		break
	}
	return nil, nil
}

// differences says in what d, as an index file tells it, is not the deletion in
// the log.
func (d *deletion) differences(log *deletion) string {
	var all []string
	differ := func(what string, said, is any) {
		if said != is {
			all = append(all, fmt.Sprintf("%s is %v, not %v", what, said, is))
		}
	}
	quoted := func(text string) string { return fmt.Sprintf("%q", text) }
	differ("the stream", quoted(d.Stream.String()), quoted(log.Stream.String()))
	differ("the id", d.ID, log.ID)
	differ("the last version that is gone", d.Receipt.Through, log.Receipt.Through)
	differ("the version asked for", d.Deletion.Through, log.Deletion.Through)
	differ("the scrub", d.Scrub, log.Scrub)
	differ("that it emptied the stream", d.emptied, log.emptied)
	differ("the number of changesets", d.Receipt.Changesets, log.Receipt.Changesets)
	differ("the number of records", d.Receipt.Records, log.Receipt.Records)
	differ("the recorded time", d.Receipt.RecordedAt, log.Receipt.RecordedAt)
	differ("who asked", quoted(d.Who), quoted(log.Who))
	differ("why", quoted(d.Why), quoted(log.Why))
	return strings.Join(all, ", ")
}

// hidings compares what the deletions of all its segments have hidden: reads
// believe it without a look at the log.
func (a *agreement) hidings() error {
	found := map[daybook.StreamID]logindex.Hiding{}
	for h, err := range a.run.Hidings() {
		if err != nil {
			return err
		}
		found[h.Stream] = h.Hiding
	}
	for _, id := range slices.SortedFunc(maps.Keys(a.hidden), daybook.StreamID.Compare) {
		want := a.hidden[id]
		switch h, known := found[id]; {
		case !known:
			a.differ(a.first, "stream %q is not hidden in it, its deletions hide it through version %d", id, want.Through)
		case h.Through != want.Through:
			a.differ(a.first, "stream %q is hidden through version %d in it, its deletions hide it through %d", id, h.Through, want.Through)
		case h.Emptied != want.Emptied:
			a.differ(a.first, "stream %q was left empty last at version %d in it, not at %d", id, h.Emptied, want.Emptied)
		default:
			a.tally.Hidings++
		}
		delete(found, id)
	}
	for _, id := range slices.SortedFunc(maps.Keys(found), daybook.StreamID.Compare) {
		a.differ(a.first, "stream %q is hidden through version %d in it, no deletion took anything of it", id, found[id].Through)
	}
	return nil
}
