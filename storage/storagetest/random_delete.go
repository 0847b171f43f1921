package storagetest

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// delete deletes from a random stream in both, and compares the answers.
func (p *pair) delete() (string, error) {
	d := p.randomDeletion()
	p.removed = append(p.removed, d)
	what := fmt.Sprintf("delete %s from %q (expect %s, through %d, scrub %t)", d.ID, d.Stream, d.Expect, d.Through, d.Scrub)
	receipt, err := p.b.DeleteStream(p.s.Context(), d)
	if err == nil && !receipt.Repeated {
		p.clock = receipt.RecordedAt
	}
	refReceipt, refErr := p.ref.DeleteStream(p.s.Context(), d)
	var conflict, refConflict *daybook.ConflictError
	var reused, refReused *daybook.ReusedIDError
	switch {
	case err == nil && refErr == nil:
		return what, deletionReceiptsAgree(receipt, refReceipt)
	case errors.As(err, &conflict) && errors.As(refErr, &refConflict):
		if difference := p.errorDifference(err, refErr); difference != "" {
			return what, errors.New(difference)
		}
		return what, nil
	case errors.As(err, &reused) && errors.As(refErr, &refReused):
		return what, nil
	}
	return what, fmt.Errorf("the driver was answered with %w, the reference with %w", err, refErr)
}

// randomDeletion returns a deletion of any kind, or one that was made before,
// sometimes with something changed.
func (p *pair) randomDeletion() daybook.Deletion {
	if len(p.removed) > 0 && p.random.IntN(5) == 0 {
		d := p.removed[p.random.IntN(len(p.removed))]
		if p.random.IntN(3) == 0 {
			d.Through++
		}
		return d
	}
	id := p.pools.stream()
	return daybook.Deletion{
		ID: p.id(), Stream: id, Expect: p.randomExpect(id), Through: daybook.Version(p.random.IntN(8)),
		Scrub: p.random.IntN(3) == 0, Who: p.pools.kind(),
	}
}

// deletionReceiptsAgree returns how a receipt differs from the reference's. A
// driver may scrub later.
func deletionReceiptsAgree(mine, theirs daybook.DeletionReceipt) error {
	told := mine
	mine.Durability, mine.Scrubbed = theirs.Durability, theirs.Scrubbed
	if mine.RecordedAt.Equal(theirs.RecordedAt) {
		mine.RecordedAt = theirs.RecordedAt
	}
	if mine != theirs {
		return fmt.Errorf("the receipt says %+v, that of the reference %+v", told, theirs)
	}
	return nil
}

// compareDeletions compares what both have recorded of deletions.
func (p *pair) compareDeletions() (string, error) {
	what := "recorded deletions"
	if !p.deletes {
		return what, nil
	}
	var theirs []daybook.RecordedDeletion
	for d, err := range p.ref.ReadDeletions(p.s.Context(), daybook.DeletionRead{}) {
		if err != nil {
			return what, err
		}
		theirs = append(theirs, d)
	}
	p.s.sameDeletions(p.b.deletions(daybook.DeletionRead{}), theirs, what)
	return what, nil
}
