package azureblob

import (
	"fmt"

	"github.com/daybook-go/daybook"
)

// lastFreeKey is the highest key that an import takes for being the position
// that it brings. Above it, positions are written beside the keys, so that an
// import cannot use up the keys.
const lastFreeKey = 1 << 31

// importFrames returns the frames of changesets that were recorded elsewhere,
// as one write.
func (v *view) importFrames(changesets []daybook.RecordedChangeset) (frames []byte, err error) {
	if err := v.checkImport(changesets); err != nil {
		return nil, err
	}
	total := 0
	for i := range changesets {
		total += len(changesets[i].Records)
	}
	if int64(v.key)+int64(total) > maxKey {
		return nil, fmt.Errorf("azureblob: the log has no keys left: %w", daybook.ErrFull)
	}
	key, shift, ordinal := v.key, v.shift, v.ordinal
	for i := range changesets {
		c := &changesets[i]
		if c.Ordinal > ordinal {
			ordinal = c.Ordinal
		} else {
			ordinal++
		}
		for j := range c.Records {
			r := &c.Records[j]
			n := note{}
			if j == 0 {
				n.begin(&daybook.Changeset{
					Stream: c.Stream, Events: make([]daybook.Event, len(c.Records)), Metadata: c.Metadata, Claims: c.Claims,
					Releases: c.Releases, References: c.References,
				}, c.AppendID, c.RecordedAt)
				n.Number, n.Ordinal, n.First = c.Number, ordinal, c.First
				if i == 0 {
					n.Frames = total
				}
			}
			if shift == 0 && int64(r.Position) > int64(key) && r.Position <= lastFreeKey {
				key = uint32(r.Position)
			} else if key++; int64(key)+shift != int64(r.Position) {
				n.Position, shift = r.Position, int64(r.Position)-int64(key)
			}
			if frames, err = appendEvent(frames, key, &r.Event, &n); err != nil {
				return nil, inEvent(err, i, j)
			}
		}
	}
	return frames, nil
}

// checkImport returns why the changesets cannot follow the end of the log.
func (v *view) checkImport(changesets []daybook.RecordedChangeset) error {
	heads := map[daybook.StreamID]daybook.Head{}
	for i := range changesets {
		c := &changesets[i]
		head, seen := heads[c.Stream]
		if !seen {
			head = v.head(c.Stream)
		}
		field := fmt.Sprintf("changesets[%d]", i)
		switch {
		case c.Records[0].Position <= v.last:
			return &daybook.InvalidError{Field: field + ".position", Value: fmt.Sprint(c.Records[0].Position), Reason: fmt.Sprintf("must lie above the end of the log, %d", v.last)}
		case c.RecordedAt.Before(v.latest):
			return &daybook.InvalidError{Field: field + ".recorded_at", Value: c.RecordedAt.String(), Reason: "must not lie before the end of the log"}
		case head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1):
			return &daybook.InvalidError{Field: field + ".first", Value: fmt.Sprint(c.First), Reason: fmt.Sprintf("must follow version %d, changeset %d of its stream", head.Version, head.Changeset)}
		}
		heads[c.Stream] = daybook.Head{Version: c.Last(), Changeset: c.Number}
	}
	return nil
}
