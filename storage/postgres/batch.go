package postgres

import "github.com/daybook-go/daybook/internal/sqlstore"

// batch is appends that are stored by one call.
type batch struct {
	sqlstore.Batch
	// forecast is set where it is worked out what storing them will do.
	forecast *forecast
	// before is the batch from whose forecast that of this one goes on, where it
	// was on its way still; nil: there was none.
	before *batch
	// leaving is closed when it is about to be sent, done when it is settled.
	leaving, done chan struct{}
	// foretold is set where it was stored as the forecast says, before done.
	foretold bool
	// unsure is set where it was sent, and may be stored, although no answer
	// came.
	unsure bool
}

// newBatch returns a batch of one append.
func newBatch(e *sqlstore.Entry) *batch {
	b := &batch{leaving: make(chan struct{}), done: make(chan struct{})}
	b.Take(e)
	return b
}

// leave takes in that it is about to be sent, and waits until the one before it
// is: of two that are stored in order the first should be there first.
func (b *batch) leave() {
	if b.before != nil {
		<-b.before.leaving
	}
	b.left()
}

func (b *batch) left() {
	select {
	case <-b.leaving: // it is sent once more
	default:
		close(b.leaving)
	}
}

// settled takes in that nothing more will be done for it.
func (b *batch) settled() {
	b.left()
	b.before = nil
	close(b.done)
}

// stored waits until the batch is settled, and reports whether it was stored as
// its forecast says; of none it reports false.
func (b *batch) stored() bool {
	if b == nil {
		return false
	}
	<-b.done
	return b.foretold
}
