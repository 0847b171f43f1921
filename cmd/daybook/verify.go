package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
	"github.com/daybook-go/daybook/verify"
)

// verifyFlags are the flags of the verify subcommand.
type verifyFlags struct {
	quick, deep bool
	options     verify.Options
}

func (p *program) verifyCommand() *cobra.Command {
	var f verifyFlags
	command := &cobra.Command{
		Use:     "verify",
		GroupID: "keep",
		Short:   "Check every promise of the store",
		Long: `Reads the whole store several times, the log forwards and backwards and every
stream alone, and checks that it all agrees: positions, times, versions,
changesets, ids, claims, references, heads, counts and deletions. It works on every store,
also through a server and while others append.

--quick checks the files of a directory instead, without reading the log:
that the segments form a chain, and every byte of the index files. --deep does
that, reads every byte of the log, compares what the index files say with it,
and then does all of the above. Both work on a store that is closed, that a
server has open, or that is a backup, and change nothing.

Findings are written to standard output, one a line, and make exit code 1.`,
		Example: `  daybook verify
  daybook verify --store http://127.0.0.1:7070
  daybook verify --quick --store file:/mnt/backup/daybook
  daybook verify --deep --json`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			if !f.quick && !f.deep {
				return p.verify(ctx, f.options)
			}
			found, err := p.verifyFiles(ctx, &f)
			if err != nil || f.quick {
				return errors.Join(err, found)
			}
			// What the files have is told; how programs see it, too.
			err = p.verify(ctx, f.options)
			if found != nil && (err == nil || exitOf(err) == exitFailed && ctx.Err() == nil) {
				return found
			}
			return err
		},
	}
	flags := command.Flags()
	flags.BoolVar(&f.quick, "quick", false, "check the files, without reading the log")
	flags.BoolVar(&f.deep, "deep", false, "check every byte of the files too, and that index files agree with the log")
	flags.IntVar(&f.options.MaxFindings, "max-findings", 1000, "write at most so many findings; all are counted")
	command.MarkFlagsMutuallyExclusive("quick", "deep")
	return command
}

func (p *program) verify(ctx context.Context, options verify.Options) error {
	return p.with(ctx, reading, func(store *daybook.Store) error {
		bar := p.newProgress()
		options.Progress = func(at verify.Progress) { bar.show(at.Step, at.Done, at.Total) }
		report, err := verify.Store(ctx, store, &options)
		bar.done()
		if err != nil {
			return err
		}
		if p.json {
			_, err = p.stdout.Write(jsonReport(&report))
		} else {
			err = p.printReport(&report)
		}
		if err == nil && !report.OK() {
			err = hinted(errors.New(counted(report.Found, "finding")), "docs/cli.md says what the kinds of findings mean")
		}
		return err
	})
}

func (p *program) printReport(r *verify.Report) error {
	for _, finding := range r.Findings {
		fmt.Fprintln(p.stdout, printable(finding.String()))
	}
	if more := r.Found - int64(len(r.Findings)); more > 0 {
		fmt.Fprintf(p.stdout, "and %s more\n", grouped(more))
	}
	for _, skipped := range r.Skipped {
		fmt.Fprintf(p.stdout, "not checked: %s\n", printable(skipped))
	}
	verdict := "sound"
	if !r.OK() {
		verdict = counted(r.Found, "finding")
	}
	deletions := ""
	if r.Deletions > 0 {
		deletions = ", " + counted(r.Deletions, "deletion") + " made"
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s in %s of %s, up to position %s; %s held%s\n", verdict, counted(r.Records, "record"),
		counted(r.Changesets, "changeset"), counted(r.Streams, "stream"), grouped(int64(r.End)), counted(r.Claims, "claim"), deletions)
	return err
}

// jsonReport is the report as one JSON object.
func jsonReport(r *verify.Report) []byte {
	out := fmt.Appendf(nil, `{"ok":%t,"found":%d,"streams":%d,"changesets":%d,"records":%d,"claims":%d,"deletions":%d,"position":%d,"findings":[`,
		r.OK(), r.Found, r.Streams, r.Changesets, r.Records, r.Claims, r.Deletions, r.End)
	for i, f := range r.Findings {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"kind":`...)
		out = wire.AppendString(out, string(f.Kind))
		if f.Stream != (daybook.StreamID{}) {
			out = wire.AppendString(append(out, `,"stream_id":`...), valid(f.Stream.Name))
			if f.Stream.Partition != "" {
				out = wire.AppendString(append(out, `,"partition":`...), valid(f.Stream.Partition))
			}
		}
		if f.Position > 0 {
			out = fmt.Appendf(out, `,"position":%d`, f.Position)
		}
		out = wire.AppendString(append(out, `,"message":`...), valid(f.Message))
		out = append(out, '}')
	}
	out = append(out, `],"skipped":[`...)
	for i, skipped := range r.Skipped {
		if i > 0 {
			out = append(out, ',')
		}
		out = wire.AppendString(out, valid(skipped))
	}
	return append(out, "]}\n"...)
}
