package disk

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// agreement compares an index file with the segments that it covers, one after
// the other. What the segments have must stand in it, and their counts must be
// the same: so nothing else does.
type agreement struct {
	*checkedRow
	log     *logCheck
	tally   logindex.Tally // of what was compared
	totals  logindex.Totals
	streams map[daybook.StreamID]bool
	claims  map[claimKey]bool
	hidden  map[daybook.StreamID]logindex.Hiding
	told    int // problems that were told
}

// maxDisagreements is how much is told of one index file: it is made anew
// whole.
const maxDisagreements = 10

func newAgreement(l *logCheck, row *checkedRow) *agreement {
	return &agreement{
		checkedRow: row, log: l, streams: map[daybook.StreamID]bool{}, claims: map[claimKey]bool{}, hidden: map[daybook.StreamID]logindex.Hiding{},
	}
}

func (a *agreement) differ(position daybook.Position, format string, args ...any) {
	a.bad = true
	if a.told++; a.told <= maxDisagreements {
		a.log.found(Problem{Kind: BrokenAnswers, File: a.name, Position: position, Reason: fmt.Sprintf(format, args...)})
	}
}

// damaged reports whether an error is about the index file, which was told when
// the file was checked.
func damaged(err error) bool { return errors.Is(err, logindex.ErrDamaged) }

// compare compares what the index says of one segment with the part that was
// made of it.
func (a *agreement) compare(p *part, frames map[int64]daybook.Position, limit int64) error {
	totals := p.totals
	totals.FirstPosition, totals.LastPosition = p.first, p.last
	a.totals.Add(totals)
	a.log.settle(p)
	for key := range p.holders {
		a.claims[key] = true
	}
	steps := []func(*part) error{a.appends, a.changesets, a.lists, a.deletions}
	for _, step := range steps {
		if err := step(p); err != nil && !damaged(err) {
			return err
		}
	}
	return a.marks(p.segment, frames, limit)
}

func (a *agreement) appends(p *part) error {
	for n := range p.appends.all.n {
		one := p.appends.all.at(n)
		at, known, err := a.run.Append(one.id)
		if err != nil {
			return err
		}
		want := logindex.PlaceOf(p.segment-a.from, one.place.offset())
		switch {
		case !known:
			a.differ(p.first, "append %s is missing in it", one.id)
		case at.Segment() < want.Segment(): // an import in pieces: it counts where it began
		case at != want:
			a.differ(p.first, "append %s stands at offset %d, not at %d", one.id, want.Offset(), at.Offset())
		default:
			a.tally.Appends++
		}
	}
	return nil
}

func (a *agreement) changesets(p *part) error {
	frames, ends := p.streams.framesByStream()
	from := uint32(0)
	for n := range p.streams.all.n {
		s := p.streams.all.at(n)
		own := frames[from:ends[n]]
		from = ends[n]
		a.streams[s.id] = true
		i := 0
		for found, err := range a.run.Changesets(s.id, own[0].first, s.end.version, false) {
			if err != nil {
				return err
			}
			want := logindex.VersionPlace{}
			if i < len(own) {
				want = logindex.VersionPlace{First: own[i].first, Place: logindex.PlaceOf(p.segment-a.from, own[i].place.offset())}
			}
			if i++; found != want {
				a.differ(p.first, "stream %q has changesets in it that it has not", s.id)
				break
			}
		}
		if i < len(own) {
			a.differ(p.first, "stream %q lacks changesets in it", s.id)
		}
		a.tally.Changesets += int64(len(own))
	}
	return nil
}

// lists compares the positions by tag, type, stream type and partition.
func (a *agreement) lists(p *part) error {
	for _, kind := range []struct {
		what   string
		terms  *terms
		count  *int64
		choose func(text string) (*logindex.Selection, error)
	}{
		{"tag", &p.tags, &a.tally.Tags, func(text string) (*logindex.Selection, error) {
			return a.run.Select(daybook.Query{Items: []daybook.QueryItem{{Tags: []string{text}}}})
		}},
		{"type", &p.types, &a.tally.Types, func(text string) (*logindex.Selection, error) {
			return a.run.Select(daybook.Query{Items: []daybook.QueryItem{{Types: []string{text}}}})
		}},
		{"stream type", &p.kinds, &a.tally.StreamTypes, func(text string) (*logindex.Selection, error) {
			return a.run.SelectStreams(nil, []string{text})
		}},
		{"partition", &p.partitions, &a.tally.Partitions, func(text string) (*logindex.Selection, error) {
			return a.run.SelectStreams([]string{text}, nil)
		}},
	} {
		for n := range kind.terms.all.n {
			term := kind.terms.all.at(n)
			selection, err := kind.choose(term.text)
			if err != nil {
				return err
			}
			if err := a.list(kind.what, term, selection, p); err != nil {
				return err
			}
			*kind.count += int64(term.len())
		}
	}
	return nil
}

// list compares one list.
func (a *agreement) list(what string, term *term, selection *logindex.Selection, p *part) error {
	next := p.first
	for i := range term.len() {
		want := term.at(i)
		found, err := selection.Next(next)
		if err != nil {
			return err
		}
		if found != want {
			a.differ(want, "%s %q: position %d is expected in it, it has %d", what, term.text, want, found)
			return nil
		}
		next = found + 1
	}
	if found, err := selection.Next(next); err != nil || found == 0 || found > p.last {
		return err
	}
	a.differ(next, "%s %q: it has positions that do not belong there", what, term.text)
	return nil
}

// marks compares where it says that frames stand.
func (a *agreement) marks(segment int, frames map[int64]daybook.Position, limit int64) error {
	marks, err := a.run.Marks(segment - a.from)
	if damaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	before := int64(segmentHeaderSize)
	for i := range marks.Len() {
		m := marks.At(i)
		if position, there := frames[m.Offset]; !there || position != m.Position || m.Offset < before {
			a.differ(m.Position, "it says that position %d stands at offset %d of %s", m.Position, m.Offset, a.log.segments[segment].name)
			return nil
		}
		before = m.Offset
	}
	if marks.Len() == 0 && limit > segmentHeaderSize {
		a.differ(a.first, "it has no marks of %s", a.log.segments[segment].name)
	}
	return nil
}

// end compares what an index tells of all of its segments.
func (a *agreement) end() error {
	for _, step := range []func() error{a.heads, a.holders, a.hidings} {
		err := step()
		if damaged(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if a.told == 0 {
		a.counts()
	}
	if more := a.told - maxDisagreements; more > 0 {
		a.log.note("%s differs in %d more answers", a.name, more)
	}
	return nil
}

// heads compares where the streams end.
func (a *agreement) heads() error {
	for id := range a.streams {
		head, known, err := a.run.Head(id)
		if err != nil {
			return err
		}
		if want := a.log.chain.heads[id]; !known || head != want {
			a.differ(want.Position, "stream %q ends at version %d, changeset %d; it says %d, %d", id, want.Version, want.Changeset, head.Version, head.Changeset)
		}
	}
	return nil
}

// holders compares who holds the claims.
func (a *agreement) holders() error {
	for key := range a.claims {
		holder, since, known, err := a.run.Claim(key.partition, key.claim)
		if err != nil {
			return err
		}
		want := a.log.holders[key]
		if !want.held {
			want.stream = daybook.StreamID{}
		}
		if known {
			a.tally.Claims++
		}
		if holder.Name != want.stream.Name || since != want.since || !known && (want.held || a.from > 0) {
			a.differ(a.first, "claim %s %q is held by stream %q since version %d, it says by %q since %d",
				key.claim.Kind, key.claim.Value, want.stream.Name, want.since, holder.Name, since)
		}
	}
	return nil
}

// counts compares how much there is.
func (a *agreement) counts() {
	a.tally.Streams = int64(len(a.streams))
	if a.tally != a.checkedIndex.tally {
		a.differ(a.first, "it holds %+v, its segments have %+v", a.checkedIndex.tally, a.tally)
	}
	if totals := a.run.Totals(); totals != a.totals {
		a.differ(a.first, "it counts %+v, its segments have %+v", totals, a.totals)
	}
}
