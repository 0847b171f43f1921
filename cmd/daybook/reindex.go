package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook/storage/disk"
)

func (p *program) reindexCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "reindex",
		GroupID: "keep",
		Short:   "Make the index files anew",
		Long: `Removes the index files of a store and makes them anew from its log, which is
checked on the way and not changed. It needs the store for itself: stop its
server. It is hardly ever needed: a server makes index files that are missing
or damaged anew by itself. Those that are as they were written and still say
something wrong, which verify --deep tells, are for this.

It may be interrupted at any moment and goes on when it is run again; the
store can be used in between, too.`,
		Example: `  daybook verify --deep
  daybook reindex`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.reindex(command.Context()) },
	}
}

func (p *program) reindex(ctx context.Context) error {
	dir, err := p.directory("a server makes damaged index files anew by itself")
	if err != nil {
		return err
	}
	bar := p.newProgress()
	r, err := disk.Reindex(ctx, dir, &disk.ReindexOptions{Progress: func(done, total int64) { bar.show("reindex", done, total) }})
	bar.done()
	var locked *disk.LockedError
	switch {
	case ctx.Err() != nil && err != nil:
		return hinted(err, "run it again, it goes on; or use the store, which makes what is missing")
	case errors.As(err, &locked):
		return &failure{exit: exitStore, err: err, hint: "stop its server first; it makes damaged index files anew by itself"}
	case errors.Is(err, fs.ErrNotExist):
		return &failure{exit: exitStore, err: fmt.Errorf("there is no store in %s", dir)}
	case err != nil:
		return err
	}
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			Removed    int   `json:"removed"`
			IndexFiles int   `json:"index_files"`
			IndexBytes int64 `json:"index_bytes"`
			Segments   int   `json:"segments"`
			Changesets int64 `json:"changesets"`
			Records    int64 `json:"records"`
			Position   int64 `json:"position"`
			Resumed    bool  `json:"resumed"`
		}{r.Removed, r.IndexFiles, r.IndexBytes, r.Segments, r.Changesets, r.Records, int64(r.End), r.Resumed})
	}
	_, err = fmt.Fprintf(p.stdout, "%s of %s made for %s; %s in %s read, up to position %s\n", counted(int64(r.IndexFiles), "index file"),
		counted(r.IndexBytes, "byte"), counted(int64(r.Segments), "segment"), counted(r.Records, "record"),
		counted(r.Changesets, "changeset"), grouped(int64(r.End)))
	return err
}
