package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// exportFlags are the flags of the export subcommand.
type exportFlags struct {
	to     string
	after  int64
	resume bool
}

func (p *program) exportCommand() *cobra.Command {
	var f exportFlags
	command := &cobra.Command{
		Use:     "export",
		GroupID: "move",
		Short:   "Write the whole log as NDJSON",
		Long: `Writes every record of the log, one JSON object a line, in the order of their
positions: everything that is needed to build the same store elsewhere with
daybook import. Data and metadata are kept to the byte.

With --resume an export that was cut goes on behind the last whole line of the
file; later it takes in what was added since. The file is first compared with
the store, so that two stores cannot be mixed.`,
		Example: `  daybook export > log.ndjson
  daybook export --to log.ndjson
  daybook export --to log.ndjson --resume
  daybook export --after 1000 | gzip > rest.ndjson.gz`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.export(command.Context(), f) },
	}
	flags := command.Flags()
	flags.StringVar(&f.to, "to", "", "the file to write (default standard output)")
	flags.Int64Var(&f.after, "after", 0, "only positions above this one")
	flags.BoolVar(&f.resume, "resume", false, "go on behind the last whole line of the file")
	command.MarkFlagsMutuallyExclusive("after", "resume")
	return command
}

func (p *program) export(ctx context.Context, f exportFlags) error {
	if f.resume && f.to == "" {
		return usagef("--resume: needs --to FILE")
	}
	return p.with(ctx, reading, func(store *daybook.Store) error {
		if f.to == "" {
			_, _, err := p.exportTo(ctx, store, p.stdout, daybook.Position(f.after))
			return err
		}
		file, err := openExport(f)
		if err != nil {
			return err
		}
		defer file.Close()
		after := daybook.Position(f.after)
		if f.resume {
			if after, err = resumeExport(ctx, store, file); err != nil {
				return err
			}
		}
		records, position, err := p.exportTo(ctx, store, file, after)
		if err != nil {
			return hinted(err, "daybook export --to %s --resume goes on from here", f.to)
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
		if p.json {
			_, err = p.stdout.Write(append(wire.AppendString(fmt.Appendf(nil, `{"records":%d,"position":%d,"file":`, records, position), f.to), "}\n"...))
		} else {
			_, err = fmt.Fprintf(p.stdout, "%s written to %s, up to position %s\n", counted(records, "record"), f.to, grouped(int64(position)))
		}
		return err
	})
}

// exportTo writes the log behind a position, up to its present end. It returns
// how many records that were, and the position of the last.
func (p *program) exportTo(ctx context.Context, store *daybook.Store, to io.Writer, after daybook.Position) (int64, daybook.Position, error) {
	end, err := store.End(ctx)
	if err != nil {
		return 0, after, err
	}
	out := bufio.NewWriterSize(to, 1<<20)
	bar := p.newProgress()
	defer bar.done()
	var records int64
	var line []byte
	last := after
	for record, err := range store.ReadLog(ctx, daybook.LogRead{After: after, To: max(end, 1)}) {
		if err != nil {
			// What was read is right, and --resume goes on behind it.
			return records, last, errors.Join(err, out.Flush())
		}
		line = append(wire.AppendRecord(line[:0], &record), '\n')
		if _, err := out.Write(line); err != nil {
			return records, last, err
		}
		last = record.Position
		records++
		bar.show("export", int64(last-after), int64(end-after))
	}
	return records, last, out.Flush()
}

// openExport opens the file that is written; only --resume takes one that has
// something in it.
func openExport(f exportFlags) (*os.File, error) {
	mode := os.O_CREATE | os.O_RDWR
	if !f.resume {
		mode |= os.O_EXCL
	}
	file, err := os.OpenFile(f.to, mode, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, hinted(usagef("%s exists", f.to), "--resume goes on behind its last whole line; remove it to begin anew")
	}
	if err != nil {
		return nil, usageError(err)
	}
	return file, nil
}

// resumeExport cuts half a line from the end of a file, compares its last line
// with the store, and returns the position behind which the export goes on.
func resumeExport(ctx context.Context, store *daybook.Store, file *os.File) (daybook.Position, error) {
	line, end, err := lastLine(file)
	if err != nil || len(line) == 0 && end == 0 {
		return 0, errors.Join(err, file.Truncate(0))
	}
	record, err := wire.DecodeRecord(line)
	if err != nil {
		return 0, fmt.Errorf("%s: its last whole line is no record: %w", file.Name(), err)
	}
	same := false
	for stored, err := range store.ReadLog(ctx, daybook.LogRead{After: record.Position - 1, To: record.Position}) {
		if err != nil {
			return 0, err
		}
		same = bytes.Equal(wire.AppendRecord(nil, &stored), line)
	}
	if !same {
		return 0, &failure{
			exit: exitConflict, err: fmt.Errorf("%s: its last record, at position %d, is not in the store", file.Name(), record.Position),
			hint: "the file is the export of another store, or the record was deleted since",
		}
	}
	if err := file.Truncate(end); err != nil {
		return 0, err
	}
	_, err = file.Seek(end, io.SeekStart)
	return record.Position, err
}

// lastLine returns the last whole line of a file, without its end, and where
// it ends; nothing and 0 if there is none.
func lastLine(file *os.File) ([]byte, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	var tail []byte // of the file, from offset on
	offset := info.Size()
	for {
		if end := bytes.LastIndexByte(tail, '\n'); end >= 0 {
			if begin := bytes.LastIndexByte(tail[:end], '\n'); begin >= 0 || offset == 0 {
				return tail[begin+1 : end], offset + int64(end) + 1, nil
			}
		}
		if offset == 0 {
			return nil, 0, nil
		}
		// Twice as much each time: a line may be long.
		more := min(offset, int64(max(64<<10, len(tail))))
		longer := make([]byte, more, int(more)+len(tail))
		if _, err := file.ReadAt(longer, offset-more); err != nil {
			return nil, 0, err
		}
		tail, offset = append(longer, tail...), offset-more
	}
}
