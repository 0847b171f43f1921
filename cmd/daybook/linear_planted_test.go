package main

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// planted is a store in memory with a bug: each method that is not nil takes the
// place of the right one.
type planted struct {
	*memory.Driver
	append    func(ctx context.Context, a daybook.Append) (daybook.Receipt, error)
	delete    func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error)
	imports   func(ctx context.Context, changesets []daybook.RecordedChangeset) error
	stream    func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error]
	log       func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error]
	deletions func(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error]

	mu     sync.Mutex // for what a bug remembers
	stored sync.Map   // the ids of appends
}

// Append stores an append. It takes every durability for what memory has.
func (p *planted) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	asked := a.Durability
	a.Durability = daybook.DurabilityDefault
	store := p.Driver.Append
	if p.append != nil {
		store = p.append
	}
	receipt, err := store(ctx, a)
	receipt.Durability = max(receipt.Durability, asked)
	if err == nil {
		p.stored.Store(a.ID, true)
	}
	return receipt, err
}

// repeats reports whether an append is there already: bugs of other appends leave
// it alone.
func (p *planted) repeats(a *daybook.Append) bool {
	_, is := p.stored.Load(a.ID)
	return is
}

func (p *planted) DeleteStream(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	if p.delete != nil {
		return p.delete(ctx, d)
	}
	return p.Driver.DeleteStream(ctx, d)
}

func (p *planted) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if p.imports != nil {
		return p.imports(ctx, changesets)
	}
	return p.Driver.Import(ctx, changesets)
}

func (p *planted) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	if p.stream != nil {
		return p.stream(ctx, id, read)
	}
	return p.Driver.ReadStream(ctx, id, read)
}

func (p *planted) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	if p.log != nil {
		return p.log(ctx, read)
	}
	return p.Driver.ReadLog(ctx, read)
}

func (p *planted) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	if p.deletions != nil {
		return p.deletions(ctx, read)
	}
	return p.Driver.ReadDeletions(ctx, read)
}

func (p *planted) headOf(id daybook.StreamID) daybook.Head {
	head, _ := p.Driver.Head(context.Background(), id) // it is open
	return head
}

// plantedBugs are stores that are wrong in one way each.
var plantedBugs = map[string]func(p *planted){
	"the claims of a deleted stream stay":                        keepClaims,
	"a deletion that is sent again takes what came since":        deleteTwice,
	"a deletion takes a changeset that ends behind its bound":    deleteTooMuch,
	"a deletion looks first and deletes later":                   deleteInTwoSteps,
	"a deletion is made and not recorded":                        forgetDeletions,
	"a read lacks what was acknowledged before it":               readStale,
	"a read by query does not look at types":                     readEveryType,
	"a read backwards with a limit begins below the newest":      readBelowNewest,
	"an append passes a condition that is one position too old":  passStaleCondition,
	"a condition counts what was deleted":                        countDeleted,
	"an append that was deleted is stored again when it is sent": storeAgain,
	"a reference to a deleted stream is taken":                   takeDeletedReference,
	"a claim stands in the way in every partition":               mixPartitions,
	"an import is stored in part":                                importInPart,
}

func keepClaims(p *planted) {
	kept := map[held]daybook.StreamID{}
	p.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		had := map[held]bool{}
		for _, value := range []string{"0", "1"} {
			claim := daybook.Claim{Kind: "seat", Value: value}
			holder, _, _ := p.Driver.ClaimHolder(ctx, d.Stream.Partition, claim)
			had[held{d.Stream.Partition, claim}] = holder == d.Stream
		}
		receipt, err := p.Driver.DeleteStream(ctx, d)
		for key, was := range had {
			if was && !p.headOf(d.Stream).Exists() {
				kept[key] = d.Stream
			}
		}
		return receipt, err
	}
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.repeats(&a) {
			return p.Driver.Append(ctx, a)
		}
		for _, c := range a.Changesets {
			for _, claim := range c.Claims {
				if holder, is := kept[held{c.Stream.Partition, claim}]; is && holder != c.Stream {
					return daybook.Receipt{}, &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
				}
			}
		}
		return p.Driver.Append(ctx, a)
	}
}

func deleteTwice(p *planted) {
	made := map[daybook.ID]bool{}
	p.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if made[d.ID] {
			again := d
			again.ID = daybook.NewID()
			_, _ = p.Driver.DeleteStream(ctx, again)
		}
		made[d.ID] = true
		return p.Driver.DeleteStream(ctx, d)
	}
}

func deleteTooMuch(p *planted) {
	p.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
		if d.Through > 0 {
			for r := range p.Driver.ReadStream(ctx, d.Stream, daybook.StreamRead{From: d.Through, Limit: 1}) {
				if d.Through >= r.Changeset.First {
					d.Through = r.Changeset.Last()
				}
			}
		}
		return p.Driver.DeleteStream(ctx, d)
	}
}

func deleteInTwoSteps(p *planted) {
	appended := make(chan struct{})
	p.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
		if d.Expect.Holds(p.headOf(d.Stream)) {
			select {
			case <-appended:
			case <-time.After(20 * time.Millisecond): // all others may be deleting
			}
			d.Expect = daybook.ExpectAny()
		}
		return p.Driver.DeleteStream(ctx, d)
	}
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		receipt, err := p.Driver.Append(ctx, a)
		select {
		case appended <- struct{}{}:
		default:
		}
		return receipt, err
	}
}

func forgetDeletions(p *planted) {
	p.deletions = func(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
		return func(yield func(daybook.RecordedDeletion, error) bool) {
			for d, err := range p.Driver.ReadDeletions(ctx, read) {
				if d.Receipt.Number == 3 {
					continue
				}
				if !yield(d, err) {
					return
				}
			}
		}
	}
}

// readStale reads what was there before the last append that was answered.
func readStale(p *planted) {
	var before, last daybook.Position
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		receipt, err := p.Driver.Append(ctx, a)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err == nil && !receipt.Repeated {
			before, last = last, receipt.Position()
		}
		return receipt, err
	}
	p.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
		p.mu.Lock()
		defer p.mu.Unlock()
		if read.To == 0 && before > 0 {
			read.To = before
		}
		return p.Driver.ReadLog(ctx, read)
	}
}

func readEveryType(p *planted) {
	p.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
		items := slices.Clone(read.Filter.Query.Items)
		for i := range items {
			items[i].Types = nil
		}
		read.Filter.Query.Items = items
		return p.Driver.ReadLog(ctx, read)
	}
}

func readBelowNewest(p *planted) {
	p.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
		if head := p.headOf(id); read.Backwards && read.Limit > 0 && head.Version > 1 {
			read.To = head.Version - 1
		}
		return p.Driver.ReadStream(ctx, id, read)
	}
}

func passStaleCondition(p *planted) {
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		if a.Condition != nil {
			a.Condition = &daybook.Condition{Query: a.Condition.Query, After: a.Condition.After + 1}
		}
		return p.Driver.Append(ctx, a)
	}
}

func countDeleted(p *planted) {
	var gone []daybook.Record
	p.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for r := range p.Driver.ReadStream(ctx, d.Stream, daybook.StreamRead{To: d.Through}) {
			gone = append(gone, r)
		}
		return p.Driver.DeleteStream(ctx, d)
	}
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.repeats(&a) {
			return p.Driver.Append(ctx, a)
		}
		for _, r := range gone {
			if a.Condition != nil && r.Position > a.Condition.After && a.Condition.Query.Matches(r.Type, r.Tags) {
				return daybook.Receipt{}, &daybook.ConditionError{Condition: *a.Condition, Found: r.Position}
			}
		}
		return p.Driver.Append(ctx, a)
	}
}

func storeAgain(p *planted) {
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		receipt, err := p.Driver.Append(ctx, a)
		if err != nil || !receipt.Repeated || p.headOf(a.Changesets[0].Stream).First <= receipt.Changesets[0].Last {
			return receipt, err
		}
		again := a
		again.ID = daybook.NewID()
		if stored, err := p.Driver.Append(ctx, again); err == nil {
			stored.AppendID = a.ID
			return stored, nil
		}
		return receipt, nil
	}
}

func takeDeletedReference(p *planted) {
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		a.Changesets = slices.Clone(a.Changesets)
		for i := range a.Changesets {
			c := &a.Changesets[i]
			c.References = slices.DeleteFunc(slices.Clone(c.References), func(id daybook.StreamID) bool { return p.headOf(id).Version > 0 })
		}
		return p.Driver.Append(ctx, a)
	}
}

func mixPartitions(p *planted) {
	p.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		for _, c := range a.Changesets {
			for _, claim := range c.Claims {
				for _, partition := range []string{"", "north"} {
					if p.repeats(&a) {
						continue
					}
					if holder, is, _ := p.Driver.ClaimHolder(ctx, partition, claim); is && holder != c.Stream {
						return daybook.Receipt{}, &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
					}
				}
			}
		}
		return p.Driver.Append(ctx, a)
	}
}

func importInPart(p *planted) {
	p.imports = func(ctx context.Context, changesets []daybook.RecordedChangeset) error {
		return p.Driver.Import(ctx, changesets[:1])
	}
}

func TestHistoriesOfStoresWithABugCannotBeExplained(t *testing.T) {
	const most = 20 // histories until the bug must be found
	seed := seedOf(t)
	histories := map[string]func(t *testing.T, seed uint64) *witness{
		"a kill loses the append before it": func(t *testing.T, seed uint64) *witness { return killedHistory(t, seed, startForgetful) },
	}
	for what, plant := range plantedBugs {
		histories[what] = func(t *testing.T, seed uint64) *witness {
			p := &planted{Driver: memory.New(nil)}
			plant(p)
			return ownHistory(t, seed, linearClients, p)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(histories)) {
		history := histories[what]
		t.Run(what, func(t *testing.T) {
			for n := range uint64(most) {
				if result, _ := explained(history(t, seed+n).settled(), orderPatience); result == porcupine.Illegal {
					t.Logf("found in history %d", n+1)
					return
				}
			}
			t.Errorf("%d histories with the bug can be explained", most)
		})
	}
	wantExplained(t, seed, ownHistory(t, seed, linearClients, &planted{Driver: memory.New(nil)}).settled())
}
