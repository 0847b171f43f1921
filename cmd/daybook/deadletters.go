package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel/sns"
)

// deadLetterFlags are the flags that the subcommands of deadletters share.
type deadLetterFlags struct {
	queue string
	to    string
	// limit is that of the subcommand: each has a flag, and a default, of its own.
	limit int
}

func (p *program) deadLettersCommand() *cobra.Command {
	var f deadLetterFlags
	command := &cobra.Command{
		Use:     "deadletters",
		GroupID: "keep",
		Short:   "Look at what could not be delivered, and send it again",
		Long: `Works on an SQS queue of dead letters: the one of a publisher (daybook lambda),
which holds notes of what its topic would not take, or that of a subscriber, which
holds the messages that it failed on.

The queue is named by --queue, or by the environment variable DAYBOOK_DEAD_LETTERS;
who may do that is for the SDK's usual configuration (AWS_REGION, AWS_PROFILE, ...).`,
		Example: `  daybook deadletters list --queue https://sqs.eu-central-1.amazonaws.com/123456789012/store-dead-letters.fifo
  daybook deadletters replay --store dynamodb://eu-central-1/events
  daybook deadletters replay --queue $SUBSCRIBERS_DEAD_LETTERS --to $SUBSCRIBERS_QUEUE`,
	}
	command.PersistentFlags().StringVar(&f.queue, "queue", "", "the URL of the queue of dead letters (default $"+deadLettersVariable+")")
	list := &cobra.Command{
		Use:   "list",
		Short: "List dead letters: of each stream the first ones, since a FIFO queue shows no more",
		Args:  noArgs,
	}
	listed := list.Flags().Int("limit", 100, "at most so many")
	list.RunE = func(command *cobra.Command, _ []string) error {
		f.limit = *listed
		return p.listDeadLetters(command.Context(), f)
	}
	show := &cobra.Command{
		Use:   "show ID",
		Short: "Show one whole, with what the message carried",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return p.showDeadLetter(command.Context(), f, args[0])
		},
	}
	replay := &cobra.Command{
		Use:   "replay [ID]...",
		Short: "Send dead letters again, and remove those that were taken",
		Long: `Sends dead letters again, all of them or those that are named, and removes from the
queue what was taken. Those of a publisher go to their topic, as the store has them;
others to --to. What is refused again stays, and with it what stands behind it in its
stream. Nothing is lost when this is interrupted; at worst a message is sent twice.`,
		RunE: func(command *cobra.Command, args []string) error {
			return p.replayDeadLetters(command.Context(), f, args)
		},
	}
	replay.Flags().StringVar(&f.to, "to", "", "where messages of a subscriber go: the URL of a queue, or the ARN of a topic")
	replay.Flags().IntVar(&f.limit, "limit", 0, "at most so many (default all)")
	command.AddCommand(list, show, replay)
	return command
}

// deadLetterQueue opens the queue that the user means.
func (p *program) deadLetterQueue(ctx context.Context, f *deadLetterFlags) (*sns.Queue, aws.Config, error) {
	if f.queue == "" {
		f.queue = p.getenv(deadLettersVariable)
	}
	if f.queue == "" {
		return nil, aws.Config{}, usagef("no queue is named: give --queue, or $%s", deadLettersVariable)
	}
	if f.limit < 0 {
		return nil, aws.Config{}, usagef("--limit: must not be negative")
	}
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, aws.Config{}, err
	}
	return sns.OpenQueue(loaded, f.queue), loaded, nil
}

func (p *program) listDeadLetters(ctx context.Context, f deadLetterFlags) error {
	queue, _, err := p.deadLetterQueue(ctx, &f)
	if err != nil {
		return err
	}
	count, err := queue.Count(ctx)
	if err != nil {
		return err
	}
	letters, err := queue.Look(ctx, f.limit)
	if err != nil {
		return err
	}
	for i := range letters {
		if err := p.tellDeadLetter(&letters[i], nil); err != nil {
			return err
		}
	}
	if !p.json && count > len(letters) {
		_, err = fmt.Fprintf(p.stdout, "%d of about %d\n", len(letters), count)
	}
	return err
}

func (p *program) showDeadLetter(ctx context.Context, f deadLetterFlags, id string) error {
	queue, _, err := p.deadLetterQueue(ctx, &f)
	if err != nil {
		return err
	}
	letters, err := queue.Look(ctx, 1000)
	if err != nil {
		return err
	}
	for i := range letters {
		if letters[i].ID != id {
			continue
		}
		if err := p.tellDeadLetter(&letters[i], nil); err != nil || p.json {
			return err
		}
		_, err := fmt.Fprintln(p.stdout, letters[i].Body)
		return err
	}
	return hinted(&failure{exit: exitNotFound, err: fmt.Errorf("no dead letter %s is to be seen", id)}, "one behind another of its stream is seen when that is gone")
}

func (p *program) replayDeadLetters(ctx context.Context, f deadLetterFlags, ids []string) error {
	queue, loaded, err := p.deadLetterQueue(ctx, &f)
	if err != nil {
		return err
	}
	sent, left := 0, 0
	var telling error
	replay := func(store *daybook.Store) error {
		return queue.Replay(ctx, store, sns.NewReplayer(loaded), f.to, f.limit, ids, func(r sns.Replayed) {
			if r.Err != nil {
				left++
			} else {
				sent++
			}
			if err := p.tellDeadLetter(&r.Letter, &r); telling == nil {
				telling = err
			}
		})
	}
	if f.to == "" { // notes of a publisher: what they note stands in the store
		err = p.with(ctx, reading, replay)
	} else {
		err = replay(nil)
	}
	switch {
	case err != nil:
		return err
	case telling != nil:
		return telling
	case left > 0:
		return hinted(&failure{exit: exitFailed, err: fmt.Errorf("%d sent, %d refused again and left in the queue", sent, left)}, "what stands behind them in their streams was left too")
	case !p.json:
		_, err = fmt.Fprintf(p.stdout, "%d sent\n", sent)
	}
	return err
}

// tellDeadLetter writes a line for a dead letter, and what became of it if it
// was replayed.
func (p *program) tellDeadLetter(letter *sns.Letter, replayed *sns.Replayed) error {
	verdict := ""
	if replayed != nil {
		verdict = "sent"
		if replayed.Err != nil {
			verdict = "left: " + replayed.Err.Error()
		}
	}
	if p.json {
		line := map[string]any{"id": letter.ID, "group": letter.Group, "sent_at": letter.SentAt, "received": letter.Received, "body": letter.Body}
		if letter.Note != nil {
			line["note"] = letter.Note
		}
		if verdict != "" {
			line["replay"] = verdict
		}
		return json.NewEncoder(p.stdout).Encode(line)
	}
	what := fmt.Sprintf("a message of %d bytes", len(letter.Body))
	if n := letter.Note; n != nil {
		what = fmt.Sprintf("%s of stream %q, changeset %d, events %d to %d: %s: %s", n.Kind, daybook.StreamID{Partition: n.Partition, Name: n.Stream}, n.Changeset, n.First, n.Last, n.Code, n.Reason)
	}
	if verdict != "" {
		what = verdict + ": " + what
	}
	_, err := fmt.Fprintf(p.stdout, "%s  %s  %s\n", letter.ID, letter.SentAt.Format(time.RFC3339), what)
	return err
}
