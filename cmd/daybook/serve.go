package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
)

// serveFlags are the flags of the serve subcommand.
type serveFlags struct {
	listen    string
	logFormat string
	logLevel  string
	grace     time.Duration
	limits    daybook.Limits
	api       httpapi.Options
	upkeep    upkeepFlags
}

func (p *program) serveCommand() *cobra.Command {
	var f serveFlags
	command := &cobra.Command{
		Use:     "serve",
		GroupID: "keep",
		Short:   "Serve the store over HTTP",
		Long: `Serves the store over HTTP until it is interrupted (SIGINT or SIGTERM); then
running requests are finished first. docs/http.md describes the interface;
/openapi.json draws it for programs.

The server knows no users and listens on this machine only, unless --listen
says otherwise. Put a proxy that asks who is there in front of it before you
open it to others.

With --retain the server deletes old records by itself, as "daybook retain" does,
and with --compact it removes the content of what was deleted from the files, as
"daybook compact" does: at the start, and then again and again, slowly, so that
requests do not wait for it. Neither is done unless it is asked for.

Where to look is written to standard output, the log to standard error.`,
		Example: `  daybook serve
  daybook serve --store file:/var/lib/daybook --listen 127.0.0.1:7071 --log-format json
  daybook serve --retain session=90d --retain sensor=10000 --compact 1d
  daybook serve --store mem: --listen 127.0.0.1:0     # any free port`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.serve(command.Context(), f) },
	}
	flags := command.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:7070", "the address to listen on; port 0 is any free one")
	flags.StringVar(&f.logFormat, "log-format", "text", "the format of the log: text or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "the least to log: debug (each request), info, warn or error")
	flags.DurationVar(&f.grace, "grace", 0, "how long running requests may take when the server is stopped (default 15s)")
	flags.Int64Var(&f.api.MaxBody, "max-body", 0, "the largest body of a request, in bytes (default 32 MiB)")
	flags.Int64Var(&f.limits.AppendBytes, "max-append-bytes", 0, "the most that one append may carry, in bytes (default 16 MiB)")
	flags.Int64Var(&f.limits.EventBytes, "max-event-bytes", 0, "the most that one event may carry, in bytes (default 16 MiB)")
	flags.Int64Var(&f.limits.Events, "max-events", 0, "the most events that one append may have (default 10,000)")
	flags.DurationVar(&f.api.Heartbeat, "heartbeat", 0, "how long a live stream may be silent (default 15s)")
	flags.StringArrayVar(&f.api.TrustedOrigins, "trusted-origin", nil, "an origin whose web pages may write, like https://console.example.org; may be given again")
	flags.StringArrayVar(&f.upkeep.retain, "retain", nil, `delete what is older, or more: TYPE=AGE or TYPE=COUNT, like session=90d or sensor=10000;
"*" is every other type; may be given again`)
	flags.StringVar(&f.upkeep.retainEvery, "retain-every", "1h", "how long after one retention the next begins")
	flags.StringVar(&f.upkeep.compact, "compact", "", "remove the content of what was deleted from the files, so often: 1d, 12h (default never)")
	flags.Int64Var(&f.upkeep.compactRate, "compact-rate", 0, "how fast that reads and writes, in bytes a second (default 16 MiB)")
	return command
}

func (p *program) serve(ctx context.Context, f serveFlags) error {
	log, err := p.logger(f.logFormat, f.logLevel)
	if err != nil {
		return err
	}
	for _, origin := range f.api.TrustedOrigins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			return usagef("--trusted-origin %q: %v", origin, err)
		}
	}
	if err := f.check(); err != nil {
		return err
	}
	upkeep, err := newUpkeep(&f.upkeep, log)
	if err != nil {
		return err
	}
	// Before the store is opened, which makes one where none was.
	listener, err := listen(ctx, f.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	driver, err := p.openDriver(ctx, opening{address: p.address(), access: writing, log: log})
	if err != nil {
		return err
	}
	store := daybook.New(driver, &daybook.Options{Limits: f.limits})
	defer store.Close()
	if err := upkeep.of(driver, store); err != nil {
		return err
	}
	if err := p.announce(listener.Addr()); err != nil {
		return err
	}
	f.api.Version, f.api.Logger = version(), log
	log.Info("serving", "address", listener.Addr().String(), "store", shown(p.address()), "version", version())
	ended := upkeep.start(ctx)
	err = httpapi.Serve(ctx, listener, httpapi.New(store, &f.api), &httpapi.ServerOptions{Grace: f.grace, Logger: log})
	ended()
	if closing := store.Close(); err == nil {
		err = closing
	}
	log.Info("stopped", "store", shown(p.address()))
	return err
}

// check refuses numbers that mean nothing.
func (f *serveFlags) check() error {
	for _, number := range []struct {
		flag  string
		value int64
	}{
		{"grace", int64(f.grace)}, {"heartbeat", int64(f.api.Heartbeat)}, {"max-body", f.api.MaxBody}, {"max-append-bytes", f.limits.AppendBytes},
		{"max-event-bytes", f.limits.EventBytes}, {"max-events", f.limits.Events},
		{"compact-rate", f.upkeep.compactRate},
	} {
		if number.value < 0 {
			return usagef("--%s: must not be negative", number.flag)
		}
	}
	return nil
}

// listen listens on an address.
func listen(ctx context.Context, address string) (net.Listener, error) {
	// An empty host is every address of the machine: nobody asks for that by
	// an empty flag.
	if address == "" {
		return nil, usagef(`--listen "": must be an address like 127.0.0.1:7070`)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	var wrong *net.AddrError
	switch {
	case errors.As(err, &wrong):
		return nil, hinted(usagef("--listen %q: %v", address, err), "an address is HOST:PORT, like 127.0.0.1:7070")
	case err != nil:
		return nil, hinted(&failure{exit: exitStore, err: err}, "another address is given by --listen; port 0 is any free one")
	}
	return listener, nil
}

// announce tells where to look.
func (p *program) announce(address net.Addr) error {
	url := "http://" + address.String()
	if p.json {
		return json.NewEncoder(p.stdout).Encode(map[string]string{"url": url, "store": shown(p.address()), "version": version()})
	}
	_, err := fmt.Fprintf(p.stdout, `Daybook %s serves %s at %s

  curl %s/healthz
  curl -X POST %s/streams/account-1 -d '{"events":[{"type":"opened","owner":"Ann"}]}'
  daybook log --follow --store %s

`, version(), shown(p.address()), url, url, url, url)
	return err
}

// logger returns the log of the server.
func (p *program) logger(format, level string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q: must be debug, info, warn or error", level)
	}
	options.Level = least
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(p.stderr, &options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.stderr, &options)), nil
	}
	return nil, usagef("--log-format %q: must be text or json", format)
}
