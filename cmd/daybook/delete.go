package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

func (p *program) deleteCommand() *cobra.Command {
	var d daybook.Deletion
	var expect, id string
	var yes bool
	command := &cobra.Command{
		Use:     "delete STREAM",
		GroupID: "keep",
		Short:   "Delete the records of a stream",
		Long: `Deletes all records of a stream, or with --through those up to a version. From
then on nobody sees them. A changeset is never cut: of one that --through falls
into everything stays. What was deleted cannot be had back but from a backup.

Versions and positions are not given again: the stream goes on above what was
deleted. A stream without records gives back its claims. Who deleted what, when
and why is kept: "daybook deletions" lists it.

Without --scrub the content may stay in the files of the storage, unseen. With
it the storage removes the content too, at the latest when it compacts its
files, and that of earlier deletions up to --through. Backups keep theirs.

On a terminal you are asked first; elsewhere --yes must say that it is meant.
--id makes the deletion repeatable: a second one with the same id takes nothing
and answers with the receipt of the first.`,
		Example: `  daybook delete user-17 --scrub --who support --why 'request 42'
  daybook delete account-1 --through 100 --yes
  daybook delete account-1 --expect version:7 --yes --id close-account-1`,
		Args: oneStream,
		RunE: func(command *cobra.Command, args []string) error {
			var err error
			if d.Expect, err = parseExpect(expect); err != nil {
				return err
			}
			d.Stream.Name = args[0]
			if d.ID = daybook.NewID(); id != "" {
				d.ID = daybook.IDOf(id)
			}
			return p.delete(command.Context(), d, yes)
		},
	}
	flags := command.Flags()
	flags.StringVar(&d.Stream.Partition, "partition", "", "the partition of the stream")
	flags.Int64Var((*int64)(&d.Through), "through", 0, "the last version that goes (default all)")
	flags.BoolVar(&d.Scrub, "scrub", false, "also remove the content from the storage")
	flags.StringVar(&expect, "expect", "any", "any, none, exists, version:N or changeset:N")
	flags.StringVar(&d.Who, "who", "", "who asks for it")
	flags.StringVar(&d.Why, "why", "", "what led to it")
	flags.StringVar(&id, "id", "", "the id of the deletion, any text")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	return command
}

func (p *program) delete(ctx context.Context, d daybook.Deletion, yes bool) error {
	return p.with(ctx, writing, func(store *daybook.Store) error {
		if !yes {
			head, err := store.Head(ctx, d.Stream)
			if err != nil {
				return err
			}
			if err := p.confirm("delete %s", describeDeletion(d, head)); err != nil {
				return err
			}
		}
		receipt, err := store.DeleteStream(ctx, d)
		var conflict *daybook.ConflictError
		switch {
		case errors.As(err, &conflict) && !conflict.Ahead():
			return hinted(err, "look at what was missed, then delete with --expect version:%d", conflict.Found.Version)
		case err != nil && !errors.Is(err, daybook.ErrRefused):
			return hinted(err, "whether it is deleted is not known: send it again with --id %s, it takes nothing twice", d.ID)
		case err != nil:
			return err
		}
		if p.json {
			_, err = p.stdout.Write(append(wire.AppendDeletionReceipt(nil, &receipt), '\n'))
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s  %s in %s deleted  through version %d%s\n", printable(receipt.Stream.String()),
			counted(receipt.Records, "record"), counted(receipt.Changesets, "changeset"), receipt.Through, remarks(d, &receipt))
		return err
	})
}

// describeDeletion says what would go, for the question whether it shall.
func describeDeletion(d daybook.Deletion, head daybook.Head) string {
	stream := fmt.Sprintf("stream %q", d.Stream)
	last := head.Version
	if d.Through > 0 {
		last = min(last, d.Through)
	}
	switch {
	case last >= head.First && head.Exists():
		return fmt.Sprintf("%s of %s, versions %d to %d", counted(int64(last-head.First)+1, "record"), stream, head.First, last)
	case d.Scrub:
		return "the content of what was deleted of " + stream
	default:
		return "nothing: " + stream + " has no such records"
	}
}

// remarks says what else is to be known about a deletion.
func remarks(d daybook.Deletion, r *daybook.DeletionReceipt) string {
	text := ""
	switch {
	case r.Scrubbed:
		text = "  content removed"
	case d.Scrub:
		text = "  content is removed when the storage compacts its files"
	}
	if r.Repeated {
		text += "  (deleted before, nothing was done)"
	}
	return text
}
