// Package router makes one store of several: each stream lies in the storage
// that a rule names for its partition and its stream type, so that, say, the
// accounts of a bank stand in a table and all else on blobs. Open takes the
// configuration from a file, New from Go.
//
// With one storage the router adds nothing to it. With several it offers what
// can be promised over all of them:
//
//  1. One log. A store of its own, the order, notes how far each storage was
//     taken up; the position of a record follows from that. It never changes,
//     and an append returns only when its records are noted. Any router of any
//     process notes what another one left behind.
//  2. An append is stored in one storage. One that would touch two, or refer
//     from one to another, is refused with *daybook.UnsupportedError that names
//     them.
//  3. Claims are offered in the partitions whose rules all lead to one storage.
//     Conditions, which are about the whole log, and importing are not offered.
//  4. Ordinals are not counted: they are 0.
//
// A storage is seen through the rules: records in it that the rules would have
// sent elsewhere are not read. So rules for streams that exist must not change.
package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// Member is a storage that rules lead to.
type Member struct {
	// Name is what rules call it, and the order for ever: it must not change.
	Name   string
	Driver daybook.Driver
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// ReadOnly answers everything that writes with daybook.ErrReadOnly, and notes
	// nothing: what no router that writes has noted is not read.
	ReadOnly bool
	// TrustIDs leaves out to ask the other storages, before an append, whether
	// its id was used there. It saves a request to each, and lets an append go
	// on while one of the others cannot be reached. An id that is used again
	// for a stream of another storage is then stored as an append of its own,
	// and the same for deletions.
	TrustIDs bool
	// SurveyInterval is how often Wait looks for records that stand in a storage
	// and are not noted: those of a program that ended before it could, or that
	// were written past the router. Default 1 s.
	SurveyInterval time.Duration
}

// Driver is a store over several storages.
type Driver struct {
	members []member
	table   table
	order   *order // nil with one member
	options Options
	life    context.Context
	end     context.CancelFunc

	mu       sync.Mutex
	closed   bool                        // guarded by mu
	reaches  map[daybook.Durability]bool // guarded by mu: what the order takes
	running  sync.WaitGroup              // calls; added to under mu
	closing  sync.Once
	closeErr error // written by closing
}

// member is a Member with what stands in for what its driver lacks.
type member struct {
	Member
	store *daybook.Store
}

// New returns a store over members. Each stream goes to the one that the rules
// name: see Rule. With several members, order keeps the order of the log; it
// must hold nothing else, is as lasting as the members are, and belongs into a
// backup with them. With one member it must be nil.
//
// The first time, what the members hold is taken into the order one after the
// other as they are listed: name the one first whose positions are to stay.
//
// *daybook.InvalidError for members or rules that are wrong. The router owns
// members and order from now on, also when it fails: then they are closed.
func New(ctx context.Context, members []Member, rules []Rule, keeper daybook.Driver, options *Options) (*Driver, error) {
	d := &Driver{reaches: map[daybook.Durability]bool{}}
	if options != nil {
		d.options = *options
	}
	if d.options.SurveyInterval <= 0 {
		d.options.SurveyInterval = time.Second
	}
	d.life, d.end = context.WithCancel(context.Background())
	for _, m := range members {
		if m.Driver != nil {
			d.members = append(d.members, member{Member: m, store: daybook.New(m.Driver, nil)})
		}
	}
	if keeper != nil {
		d.order = newOrder(keeper, members)
	}
	err := d.begin(ctx, members, rules)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// begin checks what the router was made of and takes in what the members hold.
func (d *Driver) begin(ctx context.Context, members []Member, rules []Rule) error {
	if err := checkMembers(members, d.order != nil); err != nil {
		return err
	}
	var err error
	if d.table, err = newTable(members, rules); err != nil || d.order == nil {
		return err
	}
	if d.options.ReadOnly {
		return d.order.refresh(ctx)
	}
	return d.survey(ctx)
}

func checkMembers(members []Member, ordered bool) error {
	seen := map[string]bool{}
	for i, m := range members {
		field := fmt.Sprintf("stores[%d]", i)
		switch {
		case m.Name == "":
			return &daybook.InvalidError{Field: field + ".name", Value: `""`, Reason: "must not be empty"}
		case seen[m.Name]:
			return &daybook.InvalidError{Field: field + ".name", Value: fmt.Sprintf("%q", m.Name), Reason: "is the name of two stores"}
		case m.Driver == nil:
			return &daybook.InvalidError{Field: field + ".driver", Value: "nil", Reason: "must be a driver"}
		}
		seen[m.Name] = true
	}
	switch {
	case len(members) == 0:
		return &daybook.InvalidError{Field: "stores", Value: "empty", Reason: "must name at least one store"}
	case len(members) > 1 && !ordered:
		return &daybook.InvalidError{Field: "order", Value: "empty", Reason: "must name a store that keeps the order of the log, since there are several"}
	case len(members) == 1 && ordered:
		return &daybook.InvalidError{Field: "order", Value: "not empty", Reason: "there is one store, whose order is that of the log"}
	}
	return nil
}

// Name returns "router".
func (d *Driver) Name() string { return "router" }

// Limits implements daybook.Limiter: of each limit the lowest of all storages.
func (d *Driver) Limits() daybook.Limits {
	var least daybook.Limits
	lower := func(to *int64, limit int64) {
		if limit > 0 && (*to == 0 || limit < *to) {
			*to = limit
		}
	}
	for _, m := range d.members {
		limiter, ok := m.Driver.(daybook.Limiter)
		if !ok {
			continue
		}
		limits := limiter.Limits()
		lower(&least.AppendBytes, limits.AppendBytes)
		lower(&least.EventBytes, limits.EventBytes)
		lower(&least.Events, limits.Events)
		lower(&least.Changesets, limits.Changesets)
	}
	return least
}

// Close lets running calls end, then closes all storages and the order.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.closing.Do(func() { d.closeErr = d.shut() })
	return d.closeErr
}

func (d *Driver) shut() error {
	d.end() // of those who wait
	d.running.Wait()
	var errs []error
	for _, m := range d.members {
		if err := m.Driver.Close(); err != nil {
			errs = append(errs, fmt.Errorf("store %q: %w", m.Name, err))
		}
	}
	if d.order != nil {
		d.order.idle()
		if err := d.order.keeper.Close(); err != nil {
			errs = append(errs, fmt.Errorf("the order: %w", err))
		}
	}
	return errors.Join(errs...)
}

// enter counts a call that Close must wait for; leave ends it.
func (d *Driver) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return daybook.ErrClosed
	}
	d.running.Add(1)
	return nil
}

func (d *Driver) leave() { d.running.Done() }

// isClosed reports whether Close was called.
func (d *Driver) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// alone returns the driver of the only member; nil where there are several.
func (d *Driver) alone() daybook.Driver {
	if d.order == nil {
		return d.members[0].Driver
	}
	return nil
}

func (d *Driver) unsupported(format string, args ...any) error {
	return &daybook.UnsupportedError{Driver: d.Name(), Feature: fmt.Sprintf(format, args...)}
}

// lacks says that a member does not offer a feature.
func (d *Driver) lacks(m *member, feature string) error {
	return d.unsupported("%s, since store %q (%s) does not", feature, m.Name, m.Driver.Name())
}

// settled is an error of keeping the order, told behind something that was
// stored: it must not say that nothing was.
func settled(what string, err error) error {
	if errors.Is(err, daybook.ErrRefused) {
		return fmt.Errorf("%s is stored, but not in the order of the log yet: %v", what, err)
	}
	return fmt.Errorf("%s is stored, but not in the order of the log yet: %w", what, err)
}
