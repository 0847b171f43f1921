package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook/storage/postgres"
)

func (p *program) maintainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "maintain",
		GroupID: "keep",
		Short:   "Do what a store in a database or in append blobs needs from time to time",
		Long: `Removes the rows that interrupted deletions have left in a database, makes the
next partition where the log has partitions, and has the server vacuum and
analyze the tables of the store: the room of removed rows can be used again, and
queries are planned by what the tables hold. Readers and writers go on meanwhile.

It may be interrupted at any moment: run again, it does the rest. Run it behind
large deletions, and once a night where the server does not vacuum by itself.
Only the owner of the tables may vacuum them; what was passed over is told.

Of a store in append blobs it copies all full blobs into one, which new readers
open instead of them: fewer requests, the same bytes. The full ones stay. A
server does it by itself, where its identity may.

A store in files takes care of itself: nothing is to be done. What removes the
content of deleted records there is daybook compact.`,
		Example: `  daybook maintain --store postgres://owner@db.example.org/shop
  daybook maintain --store postgres://owner@db.example.org/shop --json
  daybook maintain --store azureblob://shop.blob.core.windows.net/log`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.maintain(command.Context()) },
	}
}

func (p *program) maintain(ctx context.Context) error {
	if kind, _ := kindOf(p.address()); kind == "sqlserver" {
		return p.maintainSQLServer(ctx)
	}
	if kind, _ := kindOf(p.address()); kind == "azureblob" {
		return p.maintainBlobs(ctx)
	}
	if !isDatabase(p.address()) {
		return p.nothingToDo(ctx, "it takes care of itself")
	}
	// Like what only reads, it makes no store where there is none.
	driver, err := p.openPostgres(ctx, opening{address: p.address(), access: reading})
	if err != nil {
		return err
	}
	bar := p.newProgress()
	done, err := driver.Maintain(ctx, &postgres.MaintainOptions{Progress: bar.show})
	bar.done()
	if closing := driver.Close(); err == nil {
		err = closing
	}
	if errors.Is(err, context.Canceled) {
		err = hinted(err, "run again, it does the rest")
	}
	if err != nil {
		return err
	}
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			Changed  bool     `json:"changed"`
			Removed  int64    `json:"removed_rows"`
			Made     int      `json:"partitions_made"`
			Vacuumed []string `json:"vacuumed"`
			Skipped  []string `json:"skipped"`
			Before   int64    `json:"bytes_before"`
			After    int64    `json:"bytes"`
		}{done.Removed > 0 || done.Made > 0, done.Removed, done.Made, append([]string{}, done.Vacuumed...), append([]string{}, done.Skipped...), done.Before, done.After})
	}
	_, err = fmt.Fprintf(p.stdout, "%s of deleted events removed, %s vacuumed; %s, %s before\n", counted(done.Removed, "row"),
		counted(int64(len(done.Vacuumed)), "table"), counted(done.After, "byte"), grouped(done.Before))
	if done.Made > 0 {
		_, err = fmt.Fprintf(p.stdout, "%s made ahead\n", counted(int64(done.Made), "partition"))
	}
	if len(done.Skipped) > 0 {
		_, err = fmt.Fprintf(p.stdout, "not vacuumed, only their owner may: %s\n", strings.Join(done.Skipped, ", "))
	}
	return err
}
