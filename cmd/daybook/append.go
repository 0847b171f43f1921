package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// appendFlags are the flags of the append subcommand.
type appendFlags struct {
	event                    daybook.Event
	data, occurredAt, cause  string
	ndjson                   bool
	partition, expect        string
	id, metadata, durability string
	claims, releases, refers []string
	conditionTypes           []string
	conditionTags            []string
	conditionAfter           int64
}

func (p *program) appendCommand() *cobra.Command {
	var f appendFlags
	command := &cobra.Command{
		Use:     "append STREAM",
		GroupID: "use",
		Short:   "Append events to a stream",
		Long: `Appends one event, or with --ndjson several, to a stream: as one changeset,
all of them or none. What comes back, the receipt, says where they went.

--expect says what the stream must be like, or nothing is stored: "none" that
it has no records yet, "exists" that it has some, "version:3" or "changeset:2"
that this is its last one, "any" (the default) that it does not matter. An
append that is refused so ends with exit code 3 and shows what was missed.

--id makes the append repeatable: a second append with the same id stores
nothing and answers with the receipt of the first. Any text will do, for
example the number of the order.

With --ndjson, standard input has one event a line, a JSON object with "type"
and, if wanted, "data", "tags", "id", "occurred_at", "content_type" and
"context".`,
		Example: `  daybook append account-1 --type opened --data '{"owner":"Ann"}' --expect none
  daybook append account-1 --type deposited --data '{"amount":5}' --expect version:1
  daybook append account-1 --type scanned --data @scan.pdf --content-type application/pdf
  daybook append course-1 --type joined --tag student:7 --tag course:1 --who Ann
  daybook append order-7 --type placed --id order-7-placed --claim number=2026-0007
  daybook append account-1 --ndjson < events.ndjson`,
		Args: oneStream,
		RunE: func(command *cobra.Command, args []string) error {
			a, err := p.build(&f, daybook.StreamID{Partition: f.partition, Name: args[0]}, command.Flags().Changed("condition-after"))
			if err != nil {
				return err
			}
			return p.append(command.Context(), a)
		},
	}
	f.add(command)
	return command
}

func (f *appendFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.event.Type, "type", "", "what happened: the type of the event")
	flags.StringVar(&f.data, "data", "", "the data: JSON, @FILE, or - for standard input")
	flags.StringVar(&f.event.ContentType, "content-type", "", "how to read the data (default "+daybook.ContentTypeJSON+")")
	flags.StringArrayVar(&f.event.Tags, "tag", nil, "a tag of the event; may be given again")
	flags.StringVar(&f.occurredAt, "occurred-at", "", "when it happened: 2026-01-31T12:00:00Z (default when it is recorded)")
	flags.StringVar(&f.event.Context.Who, "who", "", "who did it")
	flags.StringVar(&f.cause, "cause", "", "the id of what led to it")
	flags.StringVar(&f.event.Context.Correlation, "correlation", "", "what ties it to other events")
	flags.StringVar(&f.event.Context.Source, "source", "", "the program or device that reports it")
	flags.StringVar(&f.event.Context.Commentary, "commentary", "", "a remark for people")
	flags.StringVar(&f.event.Context.Schema, "schema", "", "the name or version of the shape of the data")
	flags.BoolVar(&f.ndjson, "ndjson", false, "read events from standard input, one a line")

	flags.StringVar(&f.partition, "partition", "", "the partition of the stream")
	flags.StringVar(&f.expect, "expect", "any", "any, none, exists, version:N or changeset:N")
	flags.StringVar(&f.id, "id", "", "the id of the append, any text")
	flags.StringVar(&f.metadata, "metadata", "", "metadata of the changeset: JSON, @FILE, or -")
	flags.StringVar(&f.durability, "durability", "", "the least that is accepted: memory, os, disk, replicated or cloud")
	flags.StringArrayVar(&f.claims, "claim", nil, "take a unique value, KIND=VALUE; may be given again")
	flags.StringArrayVar(&f.releases, "release", nil, "give a unique value back, KIND=VALUE; may be given again")
	flags.StringArrayVar(&f.refers, "reference", nil, "a stream, in the same partition, that must exist; may be given again")
	flags.StringArrayVar(&f.conditionTypes, "condition-type", nil, "refuse if an event of this type stands above --condition-after")
	flags.StringArrayVar(&f.conditionTags, "condition-tag", nil, "refuse if an event with all of these tags stands above it")
	flags.Int64Var(&f.conditionAfter, "condition-after", 0, "the position up to which matching events are known")
	for _, single := range []string{"type", "data", "content-type", "tag", "occurred-at", "who", "cause", "correlation", "source", "commentary", "schema"} {
		command.MarkFlagsMutuallyExclusive("ndjson", single)
	}
	command.MarkFlagsOneRequired("type", "ndjson")
}

// build makes an append of the flags.
func (p *program) build(f *appendFlags, stream daybook.StreamID, conditional bool) (daybook.Append, error) {
	var none daybook.Append
	c := daybook.Changeset{Stream: stream}
	a := daybook.Append{ID: daybook.NewID()}
	var err error
	if f.id != "" {
		a.ID = daybook.IDOf(f.id)
	}
	if a.Durability, err = wire.ParseDurability(f.durability); err != nil {
		return none, err
	}
	if c.Expect, err = parseExpect(f.expect); err != nil {
		return none, err
	}
	if c.Claims, err = parseClaims("claim", f.claims); err != nil {
		return none, err
	}
	if c.Releases, err = parseClaims("release", f.releases); err != nil {
		return none, err
	}
	for _, name := range f.refers {
		c.References = append(c.References, daybook.StreamID{Partition: stream.Partition, Name: name})
	}
	if conditional || len(f.conditionTypes)+len(f.conditionTags) > 0 {
		a.Condition = &daybook.Condition{After: daybook.Position(f.conditionAfter)}
		if len(f.conditionTypes)+len(f.conditionTags) > 0 {
			a.Condition.Query.Items = []daybook.QueryItem{{Types: f.conditionTypes, Tags: f.conditionTags}}
		}
	}
	if c.Metadata, err = p.content(f.metadata); err != nil {
		return none, err
	}
	if f.ndjson {
		c.Events, err = p.readEvents()
	} else {
		c.Events, err = p.oneEvent(f)
	}
	a.Changesets = []daybook.Changeset{c}
	return a, err
}

// oneEvent makes the event that the flags describe.
func (p *program) oneEvent(f *appendFlags) ([]daybook.Event, error) {
	event := f.event
	var err error
	if event.Data, err = p.content(f.data); err != nil {
		return nil, err
	}
	// The store takes any bytes. On a command line, JSON that is none is a
	// mistake with the quotes of the shell.
	if len(event.Data) > 0 && wire.IsJSON(event.ContentType) && !json.Valid(event.Data) {
		return nil, hinted(usagef("--data: is not JSON: %s", short(event.Data)), "for other data say so: --content-type text/plain")
	}
	if event.OccurredAt, err = parseTime("occurred-at", f.occurredAt); err != nil {
		return nil, err
	}
	if f.cause != "" {
		event.Context.Why = &daybook.Cause{ID: f.cause}
	}
	return []daybook.Event{event}, nil
}

// content returns what a flag like --data stands for.
func (p *program) content(value string) ([]byte, error) {
	switch {
	case value == "-":
		return io.ReadAll(p.stdin)
	case strings.HasPrefix(value, "@"):
		data, err := os.ReadFile(value[1:])
		if err != nil {
			return nil, usageError(err)
		}
		return data, nil
	default:
		return []byte(value), nil
	}
}

// readEvents reads events from standard input, one a line.
func (p *program) readEvents() ([]daybook.Event, error) {
	var events []daybook.Event
	reader := bufio.NewReader(p.stdin)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		ended := err == io.EOF
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var shape wire.Event
			if err := wire.Decode(line, &shape); err != nil {
				return nil, fmt.Errorf("standard input, line %d: %w", number, err)
			}
			event, err := shape.Event()
			if err != nil {
				return nil, fmt.Errorf("standard input, line %d: %w", number, err)
			}
			events = append(events, event)
		}
		if !ended {
			continue
		}
		if len(events) == 0 {
			return nil, usagef("standard input: has no events")
		}
		return events, nil
	}
}

func (p *program) append(ctx context.Context, a daybook.Append) error {
	// Before a store is made where none was.
	if err := (daybook.Limits{}).Check(a); err != nil {
		return err
	}
	return p.with(ctx, writing, func(store *daybook.Store) error {
		receipt, err := store.AppendAll(ctx, a)
		// Where the log is damaged nothing is stored by trying again.
		if err != nil && !errors.Is(err, daybook.ErrRefused) && !errors.Is(err, daybook.ErrCorrupt) {
			return hinted(err, "whether it is stored is not known: send it again with --id %s, it is stored once", a.ID)
		}
		if err != nil {
			return err
		}
		if p.json {
			_, err = p.stdout.Write(append(wire.AppendReceipt(nil, &receipt), '\n'))
			return err
		}
		c := receipt.Changesets[0]
		again := ""
		if receipt.Repeated {
			again = "  (stored before, nothing was added)"
		}
		_, err = fmt.Fprintf(p.stdout, "%s  changeset %d  %s  %s  durability %s%s\n", printable(c.Stream.String()), c.Number,
			span("version", int64(c.First), int64(c.Last)), span("position", int64(c.FirstPosition), int64(c.LastPosition)), receipt.Durability, again)
		return err
	})
}

// span is "version 3", or "versions 3-5".
func span(word string, first, last int64) string {
	if first == last {
		return fmt.Sprintf("%s %d", word, first)
	}
	return fmt.Sprintf("%ss %d-%d", word, first, last)
}

// short returns the beginning of data for an error.
func short(data []byte) string {
	const longest = 60
	if len(data) > longest {
		return fmt.Sprintf("%q and %d bytes more", data[:longest], len(data)-longest)
	}
	return fmt.Sprintf("%q", data)
}
