package simulated

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Order says which changes of names survive a crash that came before SyncDir.
type Order int

const (
	// Journal keeps the changes of each directory up to one of them, as
	// file systems with a journal do.
	Journal Order = iota
	// NoOrder keeps any of them.
	NoOrder
)

// SectorBytes is what a disk writes at once: torn writes are often torn there.
const SectorBytes = 512

// Crash ends the machine, and starts it again: what was mounted answers
// ErrPowerOff from now on, and of everything that was not synced a random part
// survives.
func (d *Disk) Crash(random *rand.Rand, order Order) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powerOff()
	d.root.crash(random, order)
}

func (d *directory) crash(random *rand.Rand, order Order) {
	kept := random.IntN(len(d.pending) + 1)
	for i, n := range d.pending {
		if order == Journal && i < kept || order == NoOrder && random.IntN(2) == 0 {
			n.apply(d.stable)
		}
	}
	d.pending = nil
	d.entries = maps.Clone(d.stable)
	for _, name := range slices.Sorted(maps.Keys(d.entries)) {
		switch entry := d.entries[name].(type) {
		case *content:
			entry.crash(random)
		case *directory:
			entry.crash(random, order)
		}
	}
}

// crash decides what is left of a file.
func (c *content) crash(random *rand.Rand) {
	changes := c.pending
	switch random.IntN(5) {
	case 0: // nothing was written
		changes = nil
	case 1: // everything was, in time
	case 2: // so much was
		if n := len(changes); n > 0 {
			changes = changes[:random.IntN(n)+1]
			c.keepPart(changes[len(changes)-1], random)
			changes = changes[:len(changes)-1]
		}
	default: // some were; that is what any order of writing can leave
		for _, changed := range changes {
			c.keepPart(changed, random)
		}
		changes = nil
	}
	for _, changed := range changes {
		c.stable = changed.apply(c.stable)
	}
	c.pending = nil
	c.data = slices.Clone(c.stable)
}

// keepPart keeps all, some or nothing of a change.
func (c *content) keepPart(changed change, random *rand.Rand) {
	n := len(changed.data)
	if changed.resize || n == 0 {
		if random.IntN(2) == 0 {
			c.stable = changed.apply(c.stable)
		}
		return
	}
	switch random.IntN(6) {
	case 0, 1: // whole
		c.stable = changed.apply(c.stable)
	case 2: // its front
		changed.data = changed.data[:random.IntN(n)]
		c.stable = changed.apply(c.stable)
	case 3: // its back; what is missing in front of it is zeros
		at := random.IntN(n)
		c.stable = change{offset: changed.offset + int64(at), data: changed.data[at:]}.apply(c.stable)
	case 4: // some of its sectors
		for from := 0; from < n; {
			to := min(n, from+SectorBytes-int(changed.offset+int64(from))%SectorBytes)
			if random.IntN(2) == 0 {
				c.stable = change{offset: changed.offset + int64(from), data: changed.data[from:to]}.apply(c.stable)
			}
			from = to
		}
	case 5: // its size alone, or nothing
		if end := changed.offset + int64(n); end > int64(len(c.stable)) && random.IntN(2) == 0 {
			c.stable = resized(c.stable, end)
		}
	}
}
