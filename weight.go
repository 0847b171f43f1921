package daybook

// weight adds up the bytes that records carry when each is written out alone,
// with the header of its changeset: a header that is shared in memory counts
// for each of its records.
type weight struct {
	total      int64
	header     *ChangesetHeader // the last one
	headerSize int64
}

func (w *weight) add(r *Record) {
	if r.Changeset != w.header {
		w.header, w.headerSize = r.Changeset, headerSize(r.Changeset)
	}
	c := &r.Context
	size := len(r.Stream.Partition) + len(r.Stream.Name) + len(r.Type) + len(r.ContentType) + len(r.Data) +
		len(c.Who) + len(c.Correlation) + len(c.Source) + len(c.Commentary) + len(c.Schema) + len(c.Metadata)
	for _, tag := range r.Tags {
		size += len(tag)
	}
	if c.Why != nil {
		size += len(c.Why.ID) + len(c.Why.What) + len(c.Why.Who)
	}
	w.total += int64(size) + w.headerSize
}

func headerSize(h *ChangesetHeader) int64 {
	size := len(h.Metadata)
	for _, claims := range [...][]Claim{h.Claims, h.Releases} {
		for _, claim := range claims {
			size += len(claim.Kind) + len(claim.Value)
		}
	}
	for _, reference := range h.References {
		size += len(reference.Partition) + len(reference.Name)
	}
	return int64(size)
}
