package disk_test

import (
	"context"
	"errors"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
)

// anotherReader is another process that has a tortured store open, to read. No fault
// strikes it. It outlives those who write, and ends with the machine.
type anotherReader struct {
	mount  *simulated.Mount
	driver *disk.Driver
	store  *daybook.Store
	last   *look
}

// look is what a reader has seen at one time.
type look struct {
	told []disk.Told
	log  []daybook.Record
}

// look looks until nothing is added to the log meanwhile: what was only in the
// memory of the writer may be.
func (a *anotherReader) look() (*look, error) {
	for {
		told, err := a.driver.Told()
		if err != nil {
			return nil, err
		}
		log, err := gather(a.store.ReadLog(context.Background(), daybook.LogRead{}))
		if err != nil {
			return nil, err
		}
		again, err := a.driver.Told()
		if err != nil || len(again) == len(told) {
			return &look{told, log}, err
		}
	}
}

// readByAnother has another process, which opens the store now or has done so some
// time before, read what there is: the beginning of the log, with all that was
// acknowledged to be on the disk, and without what is deleted there.
func (r *torture) readByAnother() error { return r.readUpTo(r.mustReach(r.model.acknowledged)) }

// readByNobodyBeside is readByAnother while nobody has the store open to write. Who
// opens it then sees what the memory of the machine holds.
func (r *torture) readByNobodyBeside() error {
	least := r.model.held()
	switch {
	case len(r.model.deeds) == 0 || r.random.IntN(4) > 0:
		return nil // there may be no store
	case r.reader != nil:
		least = reach{} // END may be older, or damaged
	}
	return r.readUpTo(least)
}

// readUpTo reads, which must go at least to an end.
func (r *torture) readUpTo(least reach) error {
	if r.reader != nil && r.random.IntN(8) == 0 {
		if err := r.endReader(); err != nil {
			return err
		}
	}
	if err := r.startReader(); err != nil || r.reader == nil {
		return err
	}
	for {
		seen, err := r.reader.look()
		if err != nil {
			return r.ofReader(err)
		}
		h, err := r.mayBeSeen(seen, least)
		for n := 0; n < 4 && err == nil; n++ {
			err = r.ask(r.reader.store, h)
		}
		if err == nil {
			err = sameStats(r.reader.store, h)
		}
		if err == nil {
			return nil
		}
		// What was asked for may be of more than what was seen before.
		again, failed := r.reader.look()
		if failed != nil || len(again.told) == len(seen.told) {
			return r.ofReader(errors.Join(err, failed))
		}
	}
}

// startReader starts the other process, if there is none.
func (r *torture) startReader() (err error) {
	if r.reader != nil {
		return nil
	}
	a := &anotherReader{mount: r.disk.MountBeside()}
	a.mount.Pause = r.pause
	a.driver, err = disk.Open(tortureDir, &disk.Options{FS: a.mount, ReadOnly: true})
	r.notef("another process opens the store to read: %v", err)
	if err != nil {
		a.mount.Kill()
		return r.ofReader(err)
	}
	a.store = daybook.New(a.driver, nil)
	r.reader = a
	return nil
}

// endReader ends the other process, if there is one.
func (r *torture) endReader() error {
	a := r.reader
	if a == nil {
		return nil
	}
	r.reader = nil
	err := a.driver.Close()
	open := a.mount.OpenFiles()
	a.mount.Kill()
	if err != nil || open > 0 {
		return brokenf("%d files of a reader stay open after Close: %v", open, err)
	}
	return nil
}

// ofReader returns what was broken if a reader is answered with an error.
func (r *torture) ofReader(err error) error {
	if errors.As(err, new(*broken)) || errors.Is(err, simulated.ErrPowerOff) {
		return err
	}
	return brokenf("another process that reads is answered with: %v", err)
}

// mustReach returns how far a reader must see the log that goes at least to an end.
// Without room, END may be older than the log, and who is killed while he writes it
// leaves it damaged.
func (r *torture) mustReach(end reach) reach {
	if r.full || r.mount.Gone() != nil {
		return reach{}
	}
	return end
}

// mayBeSeen returns the history that a reader has seen, or why it cannot be one:
// there is more than that, or it has seen more before.
func (r *torture) mayBeSeen(seen *look, end reach) (*history, error) {
	if last := r.reader.last; last != nil {
		for i := range last.told {
			if i == len(seen.told) || seen.told[i].ID != last.told[i].ID {
				return nil, brokenf("a reader that has seen %d deeds sees %d, others from %d on", len(last.told), len(seen.told), i)
			}
		}
	}
	r.reader.last = seen
	if err := r.model.mustFollow(seen.told, end); err != nil {
		return nil, err
	}
	h, err := r.model.after(seen.told)
	if err != nil {
		return nil, err
	}
	return h, h.mustShow(seen.log)
}

// beside does something while another process reads, which may open the store only
// then.
func (r *torture) beside(do func() error) error {
	var group sync.WaitGroup
	seen := r.lookBeside(&group)
	r.pauses.Store(r.random.Uint32N(8))
	err := do()
	group.Wait()
	r.pauses.Store(0)
	if failed := seen(); failed != nil && !errors.Is(failed, simulated.ErrPowerOff) {
		return failed
	}
	return err
}

// lookBeside has another process look at the store, now and then, beside what else
// goes on. What it returns is called when that has ended, and the model knows of it.
func (r *torture) lookBeside(group *sync.WaitGroup) (judge func() error) {
	if len(r.model.deeds) == 0 || r.random.IntN(3) == 0 {
		return func() error { return nil }
	}
	var seen *look
	var failed error
	group.Go(func() {
		if failed = r.startReader(); failed == nil {
			seen, failed = r.reader.look()
		}
	})
	return func() error {
		if failed == nil {
			_, failed = r.mayBeSeen(seen, reach{})
		}
		if failed != nil {
			return r.ofReader(failed)
		}
		return nil
	}
}
