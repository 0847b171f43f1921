package disk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// step does one thing, and compares what the store and the model answer.
func (r *torture) step() error {
	r.now = r.now.Add(time.Duration(r.random.Int64N(int64(time.Second))))
	if r.full && r.random.IntN(3) == 0 {
		time.Sleep(time.Second) // until it is looked for room again
		if r.random.IntN(2) == 0 {
			r.disk.SetCapacity(0)
			r.notef("there is room")
		}
	} else if r.full && r.writesFail && r.random.IntN(2) == 0 {
		r.disk.SetCapacity(r.disk.Used() + r.random.Int64N(1<<10))
		r.notef("there is hardly any room")
		return [...]func() error{r.delete, r.delete, r.compact}[r.random.IntN(3)]()
	}
	if r.aims && r.model.end().deletion > 0 && r.random.IntN(4) == 0 {
		return r.compact()
	}
	switch choice := r.random.IntN(100); {
	case choice < 43:
		return r.send(proposal{append: r.randomAppend()})
	case choice < 52:
		return r.delete()
	case choice < 65:
		return r.sendTogether(2 + r.random.IntN(4))
	case choice < 72:
		return r.compact()
	case choice < 81:
		return r.repeat()
	case choice < 84:
		return r.send(r.randomImport())
	case choice < 87:
		r.now = r.now.Add(-time.Duration(r.random.Int64N(int64(time.Hour))))
		return nil
	case choice < 93:
		return r.readByAnother()
	default:
		return r.read()
	}
}

func (r *torture) delete() error { return r.send(r.randomDeletion()) }

// send gives the store and the model one append, deletion or import.
func (r *torture) send(p proposal) error {
	r.model.sending(p)
	a, err := r.give(p)
	r.notef("%s: %v, %s", p, err, a)
	if r.full && errors.Is(err, daybook.ErrFull) {
		return nil // nothing of it is stored
	}
	if unknown(err) {
		r.model.doubtful, r.model.failed = []attempt{{p, a, err}}, true
		return err
	}
	want, refused := r.model.take(p, r.now)
	if fmt.Sprint(err) != fmt.Sprint(refused) {
		return brokenf("%s was answered with %v, want %v", p, err, refused)
	}
	if err != nil {
		return nil
	}
	r.model.note(&p, a)
	if a.deleted.Records > 0 && !a.deleted.Repeated {
		r.deletions++
	}
	return r.sameAnswer(&p, a, want)
}

// give gives the store an append, deletion or import.
func (r *torture) give(p proposal) (a answer, err error) {
	ctx := context.Background()
	switch {
	case p.deletion != nil:
		a.deleted, err = r.store.DeleteStream(ctx, *p.deletion)
	case p.all != nil:
		err = r.store.Import(ctx, p.all)
	default:
		a.receipt, err = r.store.AppendAll(ctx, p.append)
	}
	return a, err
}

// unknown reports whether what was answered with this error may be stored or not.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, daybook.ErrRefused)
}

// sendTogether sends appends and deletions at once, perhaps while it is read, and
// compacted. In the order in which the log has them, the model must take them too.
func (r *torture) sendTogether(n int) error {
	attempts := make([]attempt, n)
	for i := range attempts {
		attempts[i].proposal = proposal{append: r.randomAppend()}
		if r.random.IntN(5) == 0 {
			attempts[i].proposal = r.randomDeletion()
		}
		r.model.sending(attempts[i].proposal)
	}
	var group sync.WaitGroup
	for i := range attempts {
		group.Go(func() { attempts[i].answer, attempts[i].err = r.give(attempts[i].proposal) })
	}
	beside := r.readBeside(&group)
	compacted := r.compactBeside(&group)
	seen := r.lookBeside(&group)
	r.pauses.Store(r.random.Uint32N(8))
	group.Wait()
	r.pauses.Store(0)
	taken, err := r.sort(attempts)
	for i := 0; i < len(taken) && err == nil; i++ {
		err = r.takeAnswered(&taken[i])
		beside.see(r.model.history)
	}
	if err == nil {
		err = errors.Join(beside.mustFit(r.model.history), seen())
	}
	return errors.Join(err, compacted())
}

// sort returns those of the attempts that were taken, in the order of the log. If
// one has no answer, or the log cannot be read, all are doubtful.
func (r *torture) sort(attempts []attempt) (taken []attempt, doubt error) {
	known := slices.Clone(attempts)
	for _, a := range attempts {
		r.notef("together, %s: %v, %s", a.proposal, a.err, a.answer)
		switch {
		case a.err == nil:
			r.model.note(&a.proposal, a.answer)
			taken = append(taken, a)
		case r.full && errors.Is(a.err, daybook.ErrFull):
			known = slices.DeleteFunc(known, func(other attempt) bool { return other.id() == a.id() })
		case unknown(a.err):
			doubt = a.err
		}
	}
	if doubt == nil {
		taken, doubt = r.inOrder(taken)
	}
	if doubt != nil {
		r.model.doubtful, r.model.failed = known, true
	}
	return taken, doubt
}

// inOrder brings what was taken into the order of the log.
func (r *torture) inOrder(taken []attempt) (sorted []attempt, err error) {
	told, err := r.driver.Told()
	if err != nil {
		return nil, err
	}
	before := len(r.model.deeds)
	if len(told) != before+len(taken) {
		return nil, brokenf("%d deeds stand in the log, want %d and %d", len(told), before, len(taken))
	}
	for i := range told[before:] {
		n := slices.IndexFunc(taken, func(a attempt) bool { return a.id() == told[before+i].ID })
		if n < 0 {
			return nil, brokenf("the log holds what was not taken: %+v", told[before+i])
		}
		sorted = append(sorted, taken[n])
	}
	return sorted, nil
}

// takeAnswered gives the model what the store has taken.
func (r *torture) takeAnswered(a *attempt) error {
	at := a.receipt.RecordedAt
	if a.deletion != nil {
		at = a.deleted.RecordedAt
	}
	want, err := r.model.take(a.proposal, at)
	if err != nil {
		return brokenf("%s was taken together with others, and cannot be taken in the order of the log: %v", a.proposal, err)
	}
	return r.sameAnswer(&a.proposal, a.answer, want)
}

// repeat sends an append or a deletion again that was sent before, perhaps in
// another shape.
func (r *torture) repeat() error {
	if len(r.model.deeds) == 0 {
		return nil
	}
	d := r.model.deeds[r.random.IntN(len(r.model.deeds))]
	p := d.proposal
	// One that may still be lost would not be known again.
	reshape := r.random.IntN(4) == 0 && r.model.acknowledged.covers(d.end)
	switch {
	case p.all != nil:
		return nil // an import is not repeated
	case p.deletion != nil:
		again := *p.deletion
		if p.deletion = &again; reshape {
			again.Through, p.reshaped = again.Through+1, true
		}
	default:
		p.append.Durability = r.randomDurability()
		if reshape {
			changesets := slices.Clone(p.append.Changesets)
			changesets[0].Events = append(slices.Clone(changesets[0].Events), daybook.Event{Type: "one more"})
			p.append.Changesets, p.reshaped = changesets, true
		}
	}
	return r.send(p)
}

// retryDoubtful sends again what had no answer before the crash: it is stored
// now, or answered with the receipt of the first time.
func (r *torture) retryDoubtful() error {
	doubtful := r.model.doubtful
	r.model.doubtful = nil
	for _, a := range doubtful {
		if a.all != nil {
			continue
		}
		if err := r.send(a.proposal); err != nil {
			return err
		}
	}
	return nil
}

func (r *torture) sameAnswer(p *proposal, got, want answer) error {
	if p.deletion != nil {
		a, b := got.deleted, want.deleted
		if !r.model.isReceipt(&a, &b) {
			return brokenf("the receipt is\n%+v, want\n%+v", a, b)
		}
		if a.Scrubbed {
			r.model.scrub(a.Number)
		}
		return nil
	}
	a, b := got.receipt, want.receipt
	if a.AppendID != b.AppendID || !a.RecordedAt.Equal(b.RecordedAt) || a.Repeated != b.Repeated || !slices.Equal(a.Changesets, b.Changesets) {
		return brokenf("the receipt is\n%+v, want\n%+v", a, b)
	}
	return nil
}

// String shows a proposal on one line.
func (p proposal) String() string {
	if d := p.deletion; d != nil {
		return fmt.Sprintf("deletion %s of %s through %d, %s, scrub %v", d.ID, d.Stream, d.Through, d.Expect, d.Scrub)
	}
	if p.all != nil {
		return fmt.Sprintf("import of %d", len(p.all))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "append %s at %s", p.append.ID, p.append.Durability)
	for _, c := range p.append.Changesets {
		fmt.Fprintf(&b, " %s+%d %s", c.Stream, len(c.Events), c.Expect)
	}
	return b.String()
}

// String shows an answer on one line.
func (a answer) String() string {
	if d := a.deleted; d.Number > 0 {
		return fmt.Sprintf("deletion %d through %d, %d records", d.Number, d.Through, d.Records)
	}
	return a.receipt.Durability.String()
}
