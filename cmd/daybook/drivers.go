package main

import (
	"context"
	"log/slog"
	"net/url"
	"slices"
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
	address string
	access  access
	log     *slog.Logger // is told what opening recovered; nil is standard error
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

// open opens the store at a URL.
func (p *program) open(ctx context.Context, address string, access access, options *daybook.Options) (*daybook.Store, error) {
	driver, err := p.openDriver(ctx, opening{address: address, access: access})
	if err != nil {
		return nil, err
	}
	return daybook.New(driver, options), nil
}

// with opens the store that the user means, does something with it and closes
// it.
func (p *program) with(ctx context.Context, access access, do func(store *daybook.Store) error) error {
	return p.withStore(ctx, p.address(), access, do)
}

// withStore does the same with the store at a URL.
func (p *program) withStore(ctx context.Context, address string, access access, do func(store *daybook.Store) error) error {
	store, err := p.open(ctx, address, access, nil)
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
func (p *program) openDriver(ctx context.Context, how opening) (daybook.Driver, error) {
	kind, rest := kindOf(how.address)
	switch kind {
	case "file":
		return p.openFile(strings.TrimPrefix(rest, "//"), how)
	case "http", "https":
		// Somebody waits at the keyboard: fewer tries than a program makes.
		return remote.Open(how.address, &remote.Options{Retries: 3})
	case "postgres", "postgresql":
		return p.openPostgres(ctx, how)
	case "sqlserver":
		return p.openSQLServer(ctx, how)
	case "azureblob":
		return p.openAzureBlob(ctx, how)
	case "stream":
		return p.openStreamFile(ctx, strings.TrimPrefix(rest, "//"), how)
	case "azuretable":
		return p.openAzureTable(ctx, how)
	case "azuretable-functions":
		return p.openAzureFunctions(ctx, how)
	case "cosmos":
		return p.openCosmos(ctx, how)
	case "router":
		return p.openRouter(ctx, how)
	case "dynamodb":
		return p.openDynamoDB(ctx, how)
	case "mem":
		if rest != "" {
			return nil, usagef("store %q: nothing may stand behind mem:", shown(how.address))
		}
		return memory.New(nil), nil
	}
	return nil, p.unknownStore(how.address)
}

// unknownStore is the error for the URL of no driver.
func (p *program) unknownStore(address string) error {
	err := usagef("store %q: must be file:DIR, postgres://HOST/DATABASE, sqlserver://HOST?database=NAME, "+
		"azureblob:ACCOUNT, stream:DIR, azuretable:ACCOUNT, cosmos:ACCOUNT, dynamodb://REGION/TABLE, router:FILE, http://HOST, https://HOST or mem:", shown(address))
	if !strings.Contains(address, ":") {
		return hinted(err, "a directory is named file:%s", shown(address))
	}
	return hinted(err, "see daybook help stores")
}

// kindOf returns what stands in front of the first colon of a URL, and what
// behind it.
func kindOf(address string) (kind, rest string) {
	kind, rest, _ = strings.Cut(address, ":")
	return kind, rest
}

// isStoreURL reports whether a text is the URL of a store, where a directory is
// expected.
func isStoreURL(text string) bool {
	kind, _ := kindOf(text)
	if !strings.Contains(text, ":") {
		return false
	}
	return strings.Contains(text, "://") || isAzure(text) || slices.Contains([]string{"stream", "router", "mem", "dynamodb"}, kind)
}

// isDatabase reports whether a URL names a store in a database.
func isDatabase(address string) bool {
	kind, _ := kindOf(address)
	return kind == "postgres" || kind == "postgresql"
}

// hidden stands for what must not be printed.
const hidden = "xxxxx"

// shown is the URL of a store as it may be printed: without a password. Where
// it cannot be told what is one, everything up to the host is left out.
func shown(address string) string {
	kind, _ := kindOf(address)
	if !isAzure(address) && holdsKey(address) {
		return shownSettings(address)
	}
	if kind == "file" || kind == "stream" || kind == "router" || !strings.Contains(address, ":") {
		return address
	}
	if isAzure(address) {
		return shownAzure(address)
	}
	parsed, err := url.Parse(address)
	if last := strings.LastIndex(address, "@"); last >= 0 && (err != nil || parsed.User == nil || strings.Count(address, "@") > 1) {
		return kind + "://" + hidden + address[last:]
	}
	if err != nil {
		return address
	}
	query := parsed.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if query.Has(name) {
			query.Set(name, hidden)
			parsed.RawQuery = query.Encode()
		}
	}
	return parsed.Redacted()
}

// warnings is a log for a user: what had to be repaired or waited for is told;
// that all is well is not. It is log, if there is one.
func (p *program) warnings(log *slog.Logger) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	switch {
	case log != nil:
		return log
	case p.json:
		return slog.New(slog.NewJSONHandler(p.stderr, options))
	}
	return slog.New(slog.NewTextHandler(p.stderr, options))
}
