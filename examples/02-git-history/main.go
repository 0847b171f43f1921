// Git-history turns the history of a git repository into events, as NDJSON for
// daybook import: one stream for each file, one append for each commit, with
// one changeset for each file that it touches.
//
//	go run ./examples/02-git-history . > history.ndjson
//	daybook import --from history.ndjson --store file:history
//	daybook log --store file:history --type renamed
//	daybook read file-README.md --store file:history
//
// What git calls a rename stands in both streams: that of the old name and
// that of the new. A merge brings what it changes itself.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
)

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(context.Background(), dir, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run writes the history of the repository in dir, oldest commits first.
func run(ctx context.Context, dir string, out io.Writer) error {
	git := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, logArguments...)...)
	git.Stderr = os.Stderr
	pipe, err := git.StdoutPipe()
	if err != nil {
		return err
	}
	if err := git.Start(); err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	w := newWriter(buffered)
	for commit, err := range commits(pipe) {
		if err == nil {
			err = w.write(commit)
		}
		if err != nil {
			_ = git.Process.Kill() // it may have ended
			_ = git.Wait()         // the first error is the one to tell
			return err
		}
	}
	if err := git.Wait(); err != nil {
		return fmt.Errorf("git log: %w", err)
	}
	return buffered.Flush()
}
