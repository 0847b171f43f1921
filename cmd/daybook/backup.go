package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func (p *program) backupCommand() *cobra.Command {
	var to string
	command := &cobra.Command{
		Use:     "backup",
		GroupID: "keep",
		Short:   "Copy the files of a store, also while it is written",
		Long: `Copies the files of a store into another directory, also while a server writes
it: the copy holds every append that was there when the backup began, each
whole. A later backup into the same directory copies only what is missing or
not the same. Every byte that is copied is checked.

The copy is a store itself: look at it with --store file:DIR. It needs the
files, so --store must name a directory; of a server, take an export.

Of a store in append blobs, --store azureblob:… or stream:DIR, it writes the
bytes of the log into one file, stream.bin; look at it with --store stream:DIR.
A backup of another log, or of this one when it had gone further, is never
replaced.

Interrupted, it is run again. What an earlier backup left can be restored at
any moment.`,
		Example: `  daybook backup --to /mnt/backup/daybook
  daybook verify --store file:/mnt/backup/daybook
  daybook restore --from /mnt/backup/daybook --to daybook-data
  daybook backup --store azureblob://shop.blob.core.windows.net/log --to /mnt/backup/log`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if kind, _ := kindOf(p.address()); kind == "azureblob" || kind == "stream" {
				return p.backUpBlobs(command.Context(), to)
			}
			from, err := p.directory("daybook export writes the records of any store")
			if err != nil {
				return err
			}
			return p.copyStore(command.Context(), "backup", from, to, func(ctx context.Context, progress func(done, total int64)) (disk.Copied, error) {
				return disk.Backup(ctx, from, to, &disk.BackupOptions{Progress: progress})
			})
		},
	}
	command.Flags().StringVar(&to, "to", "", "the directory of the backup: new, empty, or an earlier backup of this store")
	must(command.MarkFlagRequired("to"))
	return command
}

// directory returns the directory of the store that the user means. A store
// without one is refused, with a hint.
func (p *program) directory(hint string) (string, error) {
	if kind, _ := kindOf(p.address()); kind == "sqlserver" {
		hint = "docs/sqlserver.md, Keeping it, says how a database is backed up and looked after"
	} else if isDatabase(p.address()) {
		hint = "docs/postgres.md, Keeping it, says how a database is backed up and looked after"
	}
	dir, ok := strings.CutPrefix(p.address(), "file:")
	if dir = strings.TrimPrefix(dir, "//"); !ok || dir == "" {
		return "", hinted(usagef("store %q: must be file:DIR, this works on its files", shown(p.address())), "%s", hint)
	}
	return dir, nil
}

// copyStore copies the files of a store.
func (p *program) copyStore(ctx context.Context, name, from, to string,
	copyFiles func(ctx context.Context, progress func(done, total int64)) (disk.Copied, error),
) error {
	bar := p.newProgress()
	copied, err := copyFiles(ctx, func(done, total int64) { bar.show(name, done, total) })
	bar.done()
	if err != nil {
		return copyFailure(ctx, err, from)
	}
	if p.json {
		return json.NewEncoder(p.stdout).Encode(jsonCopied(&copied, from, to))
	}
	line := fmt.Sprintf("%s copied from %s to %s, up to position %s", counted(copied.Bytes, "byte"), from, to, grouped(int64(copied.LastPosition)))
	if copied.KeptSegments > 0 {
		line += fmt.Sprintf("; %s of %s were there", counted(int64(copied.KeptSegments), "segment"), counted(copied.KeptBytes, "byte"))
	}
	fmt.Fprintln(p.stdout, printable(line))
	if left := copied.LeftOut; left != nil {
		_, err = fmt.Fprintf(p.stdout, "left out: %s, %s: %s\n", describeLeftOut(left), counted(left.Bytes, "byte"), left.Reason)
	}
	if copied.Deletions > 0 {
		_, err = fmt.Fprintf(p.stdout, "gone: content of %s in front of the bound, removed by a compaction since; daybook deletions tells of it\n",
			counted(int64(copied.Deletions), "stream"))
	}
	return err
}

func describeLeftOut(left *disk.LeftOut) string {
	switch {
	case left.Through == 0:
		return fmt.Sprintf("everything from position %s on", grouped(int64(left.From)))
	case left.Through < left.From:
		return "deletions"
	case left.Through == left.From:
		return fmt.Sprintf("position %s", grouped(int64(left.From)))
	default:
		return fmt.Sprintf("positions %s to %s", grouped(int64(left.From)), grouped(int64(left.Through)))
	}
}

// copyFailure puts the exit code and the hint to an error of a copy.
func copyFailure(ctx context.Context, err error, from string) error {
	var occupied *disk.OccupiedError
	var locked *disk.LockedError
	var beyond *disk.BeyondEndError
	var damage *daybook.CorruptError
	switch {
	case ctx.Err() != nil:
		return hinted(err, "run the same command again: what is there already is not lost")
	case errors.As(err, &occupied):
		return hinted(usageError(err), "--to names a new or empty directory")
	case errors.As(err, &beyond):
		return hinted(usageError(err), "without --to-position everything is restored")
	case errors.As(err, &locked):
		return &failure{exit: exitStore, err: err}
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, daybook.ErrCorrupt):
		return &failure{exit: exitStore, err: fmt.Errorf("there is no store in %s", from)}
	case errors.As(err, &damage) && damage.Position > 1:
		return hinted(err, "what stands in front of the damage can be had: daybook restore --from %s --to DIR --to-position %d", from, damage.Position-1)
	default:
		return err
	}
}

// copiedShape is what a copy did, as JSON.
type copiedShape struct {
	From         string        `json:"from"`
	To           string        `json:"to"`
	Segments     int           `json:"segments"`
	Bytes        int64         `json:"bytes"`
	KeptSegments int           `json:"kept_segments"`
	KeptBytes    int64         `json:"kept_bytes"`
	Replaced     int           `json:"replaced"`
	Position     int64         `json:"position"`
	RecordedAt   *time.Time    `json:"recorded_at,omitempty"`
	LeftOut      *leftOutShape `json:"left_out,omitempty"`
	Deletions    int           `json:"deletions,omitempty"`
}

type leftOutShape struct {
	Bytes   int64  `json:"bytes"`
	From    int64  `json:"from_position"`
	Through int64  `json:"through_position,omitempty"`
	Reason  string `json:"reason"`
}

func jsonCopied(c *disk.Copied, from, to string) copiedShape {
	shape := copiedShape{
		From: from, To: to, Segments: c.Segments, Bytes: c.Bytes, KeptSegments: c.KeptSegments, KeptBytes: c.KeptBytes,
		Replaced: c.Replaced, Position: int64(c.LastPosition), Deletions: c.Deletions,
	}
	if !c.LastRecorded.IsZero() {
		shape.RecordedAt = &c.LastRecorded
	}
	if left := c.LeftOut; left != nil {
		shape.LeftOut = &leftOutShape{left.Bytes, int64(left.From), int64(left.Through), left.Reason}
	}
	return shape
}

// must is for what only a mistake in this program can make fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
