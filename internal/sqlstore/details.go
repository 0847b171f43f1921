package sqlstore

import "github.com/daybook-go/daybook"

// Found are the details of changesets, by their ordinals.
type Found map[daybook.Ordinal]Details

// Complete puts details into the headers of records. Records of changesets that
// are missing, and were not found, are left out: they were deleted meanwhile.
func (f Found) Complete(records []daybook.Record, missing []daybook.Ordinal) []daybook.Record {
	gone := map[daybook.Ordinal]bool{}
	for _, ordinal := range missing {
		if _, there := f[ordinal]; !there {
			gone[ordinal] = true
		}
	}
	kept := records[:0]
	var last *daybook.ChangesetHeader
	for i := range records {
		h := records[i].Changeset
		if h != last {
			last = h
			if d, ok := f[h.Ordinal]; ok {
				d.put(h)
			}
		}
		if !gone[h.Ordinal] {
			kept = append(kept, records[i])
		}
	}
	return kept
}

// put puts d into a header.
func (d *Details) put(h *daybook.ChangesetHeader) {
	h.Metadata, h.Claims, h.Releases, h.References = d.Metadata, claimsOf(d.Claims), claimsOf(d.Releases), nil
	for _, r := range d.RefersTo {
		h.References = append(h.References, daybook.StreamID{Partition: r.Partition, Name: r.Name})
	}
}

func claimsOf(list []Claim) (claims []daybook.Claim) {
	for _, c := range list {
		claims = append(claims, daybook.Claim{Kind: c.Kind, Value: c.Value})
	}
	return claims
}
