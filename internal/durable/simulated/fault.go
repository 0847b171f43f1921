package simulated

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
)

// Kind is a kind of calls.
type Kind int

// The kinds. Any is all of them, Change those that change something: all but
// Open, Read, List and Lock. Opening for writing counts as Open.
const (
	Any Kind = iota
	Change
	Open
	Create
	Read
	Write
	Truncate
	Sync
	SyncDir
	Rename
	Remove
	Mkdir
	List
	Lock
)

var kindWords = [...]string{
	"any call", "change", "open", "create", "read", "write", "truncate", "sync", "syncdir", "rename", "remove", "mkdir", "list", "lock",
}

// String returns the word for k: "write".
func (k Kind) String() string { return kindWords[k] }

// Fault strikes one call of a mount. Set what it does: Err, PowerOff or Kill.
type Fault struct {
	Kind  Kind
	Files func(base string) bool // by the name without the directory; nil is all
	At    int                    // the how many'th such call, from 1

	// Part is how much of the call is done before the fault strikes, from 0 to
	// 1: so much of the bytes of a write, of the pending changes of a sync.
	// Other calls are done if it is 1.
	Part float64
	// Err is what the call answers. A Sync that fails with it forgets what it
	// has not written.
	Err error
	// PowerOff ends the machine, see Disk.Crash, and Kill the program.
	PowerOff, Kill bool
	// Lasting strikes all later such calls too.
	Lasting bool

	seen   int
	struck bool
}

// strikes reports whether the fault strikes a call.
func (f *Fault) strikes(kind Kind, name string) bool {
	fits := f.Kind == kind || f.Kind == Any ||
		f.Kind == Change && kind != Open && kind != Read && kind != List && kind != Lock
	if !fits || f.Files != nil && !f.Files(filepath.Base(name)) {
		return false
	}
	f.seen++
	if f.seen == f.At || f.Lasting && f.seen > f.At {
		f.struck = true
		return true
	}
	return false
}

// ends returns why the mount ends with the fault; nil if it does not.
func (f *Fault) ends() error {
	switch {
	case f.PowerOff:
		return ErrPowerOff
	case f.Kill:
		return ErrKilled
	default:
		return nil
	}
}

// Mount is the disk as one program has it. It implements durable.FS.
type Mount struct {
	// Pause is called before each call, unless it is nil: so that a test lets
	// others go on there. Set it before the mount is used.
	Pause func()

	disk   *Disk
	faults []*Fault
	calls  int
	open   int
	direct int
	gone   error // why it ended
}

// Mount starts a program on the disk. The one before it, if there still is
// one, is killed.
func (d *Disk) Mount(faults ...*Fault) *Mount {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mounted != nil {
		d.mounted.end(ErrKilled)
	}
	d.mounted = &Mount{disk: d, faults: faults}
	return d.mounted
}

// MountBeside starts another program on the disk, beside the one that Mount
// started, which may end and be followed by others meanwhile. It ends with the
// machine, or by its Kill.
func (d *Disk) MountBeside(faults ...*Fault) *Mount {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := &Mount{disk: d, faults: faults}
	d.beside = append(d.beside, m)
	return m
}

// powerOff ends all programs. mu must be held.
func (d *Disk) powerOff() {
	if d.mounted != nil {
		d.mounted.end(ErrPowerOff)
	}
	for _, m := range slices.Clone(d.beside) {
		m.end(ErrPowerOff)
	}
}

// Add puts a fault beside those that the mount has: calls are counted from now on.
func (m *Mount) Add(f *Fault) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.faults = append(m.faults, f)
}

// Kill ends the program: all calls answer ErrKilled from now on. What it did
// is seen by the next program, and pending as before.
func (m *Mount) Kill() {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.end(ErrKilled)
}

func (m *Mount) end(why error) {
	if m.gone == nil {
		m.gone = why
		maps.DeleteFunc(m.disk.locks, func(_ *content, f *file) bool { return f.mount == m })
		m.disk.beside = slices.DeleteFunc(m.disk.beside, func(other *Mount) bool { return other == m })
	}
}

// Gone returns why the mount ended, nil while it has not.
func (m *Mount) Gone() error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	return m.gone
}

// Struck reports whether any fault has struck.
func (m *Mount) Struck() bool {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	for _, f := range m.faults {
		if f.struck {
			return true
		}
	}
	return false
}

// Calls returns how many calls there were.
func (m *Mount) Calls() int {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	return m.calls
}

// OpenFiles returns how many files are open.
func (m *Mount) OpenFiles() int {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	return m.open
}

// enter begins a call: it answers what strikes it. disk.mu must be held.
func (m *Mount) enter(kind Kind, name string) (*Fault, error) {
	if m.gone != nil {
		return nil, &fs.PathError{Op: kind.String(), Path: name, Err: m.gone}
	}
	m.calls++
	var struck *Fault
	for _, f := range m.faults {
		if f.strikes(kind, name) && struck == nil {
			struck = f
		}
	}
	return struck, nil
}

// lock waits until it may be called, and takes disk.mu.
func (m *Mount) lock() {
	if m.Pause != nil {
		m.Pause()
	}
	m.disk.mu.Lock()
}

// call is one call that is done whole or not at all, and what follows where it
// answers no error.
func (m *Mount) call(kind Kind, name string, do func() error, then ...func()) error {
	m.lock()
	defer m.disk.mu.Unlock()
	f, err := m.enter(kind, name)
	if err != nil {
		return err
	}
	if f == nil || f.Part >= 1 {
		err = do()
	}
	err = m.leave(f, kind, name, err)
	for _, follow := range then {
		if err == nil {
			follow()
		}
	}
	return err
}

// leave ends a call.
func (m *Mount) leave(f *Fault, kind Kind, name string, err error) error {
	if f != nil {
		if why := f.ends(); why != nil {
			if m.end(why); errors.Is(why, ErrPowerOff) {
				m.disk.powerOff()
			}
			err = why
		} else {
			err = errors.Join(f.Err, err)
		}
	}
	if err != nil {
		err = &fs.PathError{Op: kind.String(), Path: name, Err: err}
	}
	return err
}
