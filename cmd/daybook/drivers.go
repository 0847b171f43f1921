package main

import (
	"log/slog"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/remote"
)

const (
	defaultStore  = "file:daybook-data"
	storeVariable = "DAYBOOK_STORE"
)

// access says what a subcommand wants of a store.
type access int

const (
	reading access = iota
	writing
)

// opening says how to open a store.
type opening struct {
	access access
	log    *slog.Logger // is told what opening recovered; nil is nobody
}

// address returns the URL of the store that the user means.
func (p *program) address() string {
	if p.store != "" {
		return p.store
	}
	if named := p.getenv(storeVariable); named != "" {
		return named
	}
	return defaultStore
}

// open opens the store that the user means.
func (p *program) open(access access, options *daybook.Options) (*daybook.Store, error) {
	driver, err := p.openDriver(opening{access: access})
	if err != nil {
		return nil, err
	}
	return daybook.New(driver, options), nil
}

// with opens the store, does something with it and closes it.
func (p *program) with(access access, do func(store *daybook.Store) error) error {
	store, err := p.open(access, nil)
	if err != nil {
		return err
	}
	err = do(store)
	if closing := store.Close(); err == nil {
		err = closing
	}
	return err
}

// openDriver is the list of all drivers. A new one gets a case here.
func (p *program) openDriver(how opening) (daybook.Driver, error) {
	address := p.address()
	kind, rest, _ := strings.Cut(address, ":")
	switch kind {
	case "file":
		return p.openFile(strings.TrimPrefix(rest, "//"), how)
	case "http", "https":
		// Somebody waits at the keyboard: fewer tries than a program makes.
		return remote.Open(address, &remote.Options{Retries: 3})
	case "mem":
		if rest != "" {
			return nil, usagef("store %q: nothing may stand behind mem:", address)
		}
		return memory.New(nil), nil
	}
	err := usagef("store %q: must be file:DIR, http://HOST, https://HOST or mem:", address)
	if !strings.Contains(address, ":") {
		return nil, hinted(err, "a directory is named file:%s", address)
	}
	return nil, hinted(err, "see daybook help stores")
}
