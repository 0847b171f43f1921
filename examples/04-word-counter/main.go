// Word-counter counts words together with every other word counter on the same
// server. Run a server and as many of these as you like:
//
//	go run ./cmd/daybook serve
//	go run ./examples/04-word-counter http://localhost:7070
//
// It reads lines:
//
//	add WORD...       counts the words; "add the the" counts two
//	delete WORD...    forgets the words
//	show              prints all words
//	quit              ends, as the end of the input does
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/remote"
)

func main() {
	address := "http://localhost:7070"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, address, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address string, in io.Reader, out io.Writer) error {
	driver, err := remote.Open(address, nil)
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	counter, err := newCounter(ctx, store)
	if err != nil {
		return err
	}
	defer counter.service.Close()

	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "quit" {
			return nil
		}
		if err := counter.do(ctx, words[0], words[1:], out); err != nil {
			return err
		}
	}
	return lines.Err()
}

// counter is one program that counts.
type counter struct {
	service *livestate.Service[Event]
	counts  *livestate.Fold[Counts, Event]
}

func newCounter(ctx context.Context, store *daybook.Store) (*counter, error) {
	c := &counter{counts: newFold()}
	var err error
	c.service, err = livestate.Start(store, livestate.OfStream(stream), events, []livestate.Folder[Event]{c.counts}, nil)
	if err != nil {
		return nil, err
	}
	return c, c.service.Ready(ctx)
}

// do carries out one line.
func (c *counter) do(ctx context.Context, verb string, words []string, out io.Writer) error {
	switch verb {
	case "add":
		return c.add(ctx, words, out)
	case "delete":
		return c.delete(ctx, words, out)
	case "show":
		state, err := c.service.Current(ctx)
		if err != nil {
			return err
		}
		counts := c.counts.Of(state)
		for _, word := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(out, "%s %d\n", word, counts[word])
		}
		return nil
	default:
		fmt.Fprintf(out, "%s: say add, delete, show or quit\n", verb)
		return nil
	}
}

// add counts words. The function that it hands over decides on the counts as
// they are, and decides again if another program was quicker: so no word of
// any program is lost.
func (c *counter) add(ctx context.Context, words []string, out io.Writer) error {
	done, err := livestate.Append(ctx, c.service, func(state *livestate.State) ([]Event, int, error) {
		counts, fresh := clone(c.counts.Of(state)), 0
		var list []Event
		for _, word := range words {
			if counts[word] == 0 {
				fresh++
			}
			counts[word]++
			list = append(list, Updated{Word: word, Count: counts[word]})
		}
		return list, fresh, nil
	}, nil)
	if err == nil {
		fmt.Fprintf(out, "%d new\n", done.Result)
	}
	return err
}

// delete forgets words, in one transaction with what it says about them.
func (c *counter) delete(ctx context.Context, words []string, out io.Writer) error {
	_, err := c.service.Transact(ctx, func(tx *livestate.Transaction[Event]) error {
		for _, word := range words {
			if c.counts.Of(tx.State())[word] == 0 {
				continue
			}
			if err := tx.Add(Deleted{Word: word}); err != nil {
				return err
			}
		}
		tx.OnCommit(func(deleted []Event) { fmt.Fprintf(out, "%d deleted\n", len(deleted)) })
		return nil
	}, nil)
	return err
}
