package sqlstore

import "github.com/daybook-go/daybook"

// Besides is what few appends carry besides events, as the functions of a
// database take it: as JSON. Appends and changesets are named by their index,
// from 1.
type Besides struct {
	Conditions []Condition `json:"conditions,omitempty"`
	References []Reference `json:"references,omitempty"`
	Releases   []Claim     `json:"releases,omitempty"`
	Claims     []Claim     `json:"claims,omitempty"`
	Hands      []Claim     `json:"hands,omitempty"` // of an import: releases and claims in their order
	Changesets []Details   `json:"changesets,omitempty"`
}

// Condition is the condition of an append.
type Condition struct {
	Append int              `json:"append"`
	After  daybook.Position `json:"after"`
	Items  []Item           `json:"items"`
}

// Item is an item of a query.
type Item struct {
	Types []string `json:"types,omitempty"`
	Tags  []string `json:"tags,omitempty"`
}

// Reference is a stream that a changeset refers to.
type Reference struct {
	Changeset int    `json:"changeset,omitempty"`
	Partition string `json:"partition"`
	Name      string `json:"name"`
}

// Claim is a claim that a changeset takes or releases.
type Claim struct {
	Changeset int    `json:"changeset,omitempty"`
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Release   bool   `json:"release,omitempty"`
}

// Details is what the header of a changeset has besides numbers.
type Details struct {
	Changeset int         `json:"changeset"`
	Metadata  []byte      `json:"metadata,omitempty"` // base64
	Claims    []Claim     `json:"claims,omitempty"`
	Releases  []Claim     `json:"releases,omitempty"`
	RefersTo  []Reference `json:"refers_to,omitempty"`
}

// Text returns b as JSON; nil where there is nothing.
func (b *Besides) Text() *string {
	if len(b.Conditions)+len(b.References)+len(b.Releases)+len(b.Claims)+len(b.Hands)+len(b.Changesets) == 0 {
		return nil
	}
	t := JSONText(b)
	return &t
}

// Condition adds the condition of an append; nil is none.
func (b *Besides) Condition(n int, c *daybook.Condition) {
	if c == nil {
		return
	}
	added := Condition{Append: n, After: c.After, Items: []Item{}}
	for _, item := range c.Query.Items {
		added.Items = append(added.Items, Item(item))
	}
	b.Conditions = append(b.Conditions, added)
}

// Details adds what a changeset has besides events, and its references as a
// demand. It reports whether there is anything.
func (b *Besides) Details(n int, metadata []byte, claims, releases []daybook.Claim, references []daybook.StreamID) bool {
	if len(metadata)+len(claims)+len(releases)+len(references) == 0 {
		return false
	}
	d := Details{Changeset: n, Metadata: metadata}
	for _, c := range claims {
		d.Claims = append(d.Claims, Claim{Kind: c.Kind, Value: c.Value})
	}
	for _, c := range releases {
		d.Releases = append(d.Releases, Claim{Kind: c.Kind, Value: c.Value})
	}
	for _, r := range references {
		d.RefersTo = append(d.RefersTo, Reference{Partition: r.Partition, Name: r.Name})
		b.References = append(b.References, Reference{n, r.Partition, r.Name})
	}
	b.Changesets = append(b.Changesets, d)
	return true
}

// Demands adds what a changeset of an append takes and releases.
func (b *Besides) Demands(n int, claims, releases []daybook.Claim) {
	for _, c := range releases {
		b.Releases = append(b.Releases, Claim{Changeset: n, Kind: c.Kind, Value: c.Value})
	}
	for _, c := range claims {
		b.Claims = append(b.Claims, Claim{Changeset: n, Kind: c.Kind, Value: c.Value})
	}
}

// HandsOf returns how claims change hands in an import: the releases of each
// append before its claims.
func HandsOf(changesets []daybook.RecordedChangeset) []Claim {
	var all []Claim
	for from := 0; from < len(changesets); {
		to := from
		for to < len(changesets) && changesets[to].AppendID == changesets[from].AppendID {
			to++
		}
		for i := from; i < to; i++ {
			for _, claim := range changesets[i].Releases {
				all = append(all, Claim{i + 1, claim.Kind, claim.Value, true})
			}
		}
		for i := from; i < to; i++ {
			for _, claim := range changesets[i].Claims {
				all = append(all, Claim{i + 1, claim.Kind, claim.Value, false})
			}
		}
		from = to
	}
	return all
}
