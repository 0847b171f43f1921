// Shapes-in-ci tells whether the program that is about to be released can
// still decode everything that a store holds. It exits with 1, and names what
// it cannot, and in which streams.
//
//	daybook backup --store file:data --to latest
//	go run ./examples/08-shapes-in-ci latest
//
// A team runs it with every change, on a copy of what its production has
// recorded: a nightly backup, or the files themselves, which it opens for
// reading only. A step of a pipeline is no more than the second line above. A
// store behind HTTP is read the same way, with remote.Open in place of
// disk.Open.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/disk"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: shapes-in-ci DIRECTORY")
	}
	uses, err := uses(false)
	if err != nil {
		log.Fatal(err)
	}
	fine, err := check(context.Background(), os.Args[1], uses, os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	if !fine {
		os.Exit(1)
	}
}

// check reports whether every record of the store in dir decodes, and writes
// what does not.
func check(ctx context.Context, dir string, uses []codec.Use, out io.Writer) (bool, error) {
	driver, err := disk.Open(dir, &disk.Options{ReadOnly: true})
	if err != nil {
		return false, err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	shapes, err := codec.ReadShapes(ctx, store, uses, nil)
	if err != nil {
		return false, err
	}
	if _, err := shapes.WriteTo(out); err != nil {
		return false, fmt.Errorf("writing the report: %w", err)
	}
	return shapes.Failed == 0, nil
}
