package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
)

// retainFlags are the flags of the retain subcommand.
type retainFlags struct {
	rule      daybook.RetentionRule
	options   daybook.RetainOptions
	olderThan string
	yes       bool
}

func (p *program) retainCommand() *cobra.Command {
	var f retainFlags
	command := &cobra.Command{
		Use:     "retain",
		GroupID: "keep",
		Short:   "Delete old records of many streams",
		Long: `Deletes from every stream that the flags select the records that are older than
--older-than, and those in front of the newest --keep. A changeset is never cut:
where one begins outside and ends inside, all of it stays. A stream of which
everything is too old loses everything, its claims too.

It works on whole streams, one after the other, beside readers and writers, and
may be interrupted: run again, it does the rest. --dry-run only counts. What
"daybook help delete" says of deletions holds here too.`,
		Example: `  daybook retain --stream-type session --older-than 90d --dry-run
  daybook retain --stream-type session --older-than 90d --yes
  daybook retain --stream-type sensor --keep 10000 --scrub --yes --who cron`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var err error
			if f.rule.MaxAge, err = parseAge("older-than", f.olderThan); err != nil {
				return err
			}
			if f.rule.Keep < 0 || f.rule.Keep == 0 && f.rule.MaxAge == 0 {
				return usagef("--keep, --older-than: at least one must say what is kept, and be above 0")
			}
			return p.retain(command.Context(), f)
		},
	}
	flags := command.Flags()
	flags.StringArrayVar(&f.rule.Filter.StreamTypes, "stream-type", nil, "only streams of this type; may be given again")
	flags.StringArrayVar(&f.rule.Filter.Partitions, "partition", nil, "only this partition; may be given again")
	flags.Int64Var(&f.rule.Keep, "keep", 0, "keep so many records of each stream, the newest")
	flags.StringVar(&f.olderThan, "older-than", "", "delete what was recorded so long ago: 90d, 12h, 30m")
	flags.BoolVar(&f.rule.Scrub, "scrub", false, "also remove the content from the storage")
	flags.BoolVar(&f.options.DryRun, "dry-run", false, "count what would go, and delete nothing")
	flags.StringVar(&f.options.Who, "who", "", "who asks for it")
	flags.StringVar(&f.options.Why, "why", "", `what led to it (default "retention")`)
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	return command
}

func (p *program) retain(ctx context.Context, f retainFlags) error {
	access := writing
	if f.options.DryRun {
		access = reading
	}
	return p.with(ctx, access, func(store *daybook.Store) error {
		if !f.options.DryRun && !f.yes {
			if err := p.confirm("delete what is not kept of %s", describeStreams(f.rule.Filter)); err != nil {
				return err
			}
		}
		bar := p.newProgress()
		f.options.Progress = func(r daybook.RetainReport) { bar.show("streams", r.Streams, 0) }
		report, err := daybook.Retain(ctx, store, []daybook.RetentionRule{f.rule}, &f.options)
		bar.done()
		if err != nil && report.Streams > 0 {
			err = hinted(err, "%s deleted so far; run again, it does the rest", counted(report.Records, "record"))
		}
		if err != nil {
			return err
		}
		return p.printRetained(&report, f.options.DryRun)
	})
}

func (p *program) printRetained(r *daybook.RetainReport, dry bool) error {
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			DryRun  bool  `json:"dry_run"`
			Streams int64 `json:"streams"`
			Trimmed int64 `json:"trimmed"`
			Emptied int64 `json:"emptied"`
			Records int64 `json:"records"`
		}{dry, r.Streams, r.Trimmed, r.Emptied, r.Records})
	}
	verb := "deleted"
	if dry {
		verb = "would be deleted"
	}
	_, err := fmt.Fprintf(p.stdout, "%s %s: %s trimmed, %s emptied, of %s\n", counted(r.Records, "record"), verb,
		counted(r.Trimmed, "stream"), grouped(r.Emptied), grouped(r.Streams))
	return err
}

// describeStreams says which streams a filter selects.
func describeStreams(f daybook.Filter) string {
	text := "all streams"
	if len(f.StreamTypes) > 0 {
		text = "the streams of type " + strings.Join(f.StreamTypes, ", ")
	}
	if len(f.Partitions) > 0 {
		text += fmt.Sprintf(" in partition %q", f.Partitions)
	}
	return text
}

// parseAge reads a time span: days, or what Go writes.
func parseAge(flag, value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	if number, ok := strings.CutSuffix(value, "d"); ok {
		const most = 36_500 // a hundred years, which a Duration holds
		if days, err := strconv.Atoi(number); err == nil && days > 0 && days <= most {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	} else if age, err := time.ParseDuration(value); err == nil && age > 0 {
		return age, nil
	}
	return 0, usagef("--%s %q: must be a time span above 0 like 90d, 12h or 30m", flag, value)
}
