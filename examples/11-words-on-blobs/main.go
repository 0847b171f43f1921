// Words-on-blobs counts words together with every other program that counts in
// the same container of an Azure storage account, with no server between:
//
//	go run ./examples/11-words-on-blobs 'azureblob:CONNECTION-STRING;Container=words'
//	go run ./examples/11-words-on-blobs azureblob://ACCOUNT.blob.core.windows.net/words
//	go run ./examples/11-words-on-blobs          # alone, in the directory word-counts
//
// Every line of its input is words to count. At the end of the input it prints
// how often each word was counted, by all programs so far.
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
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/azureblob"
)

// Counted says how often a word counts from now on. It is only true if nobody
// else has changed that meanwhile, so it is appended where it was decided on.
type Counted struct {
	Word  string
	Count int
}

var events = codec.Must(codec.New[Counted](codec.Event[Counted]("word-counted")))

// Counts is how often each word counts.
type Counts map[string]int

func evolve(counts Counts, event Counted) Counts {
	counts[event.Word] = event.Count
	return counts
}

func main() {
	address := "word-counts"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, address, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// open opens the store at an address of append blobs, or in a directory.
func open(ctx context.Context, address string) (*azureblob.Driver, error) {
	if strings.HasPrefix(address, "azureblob:") {
		return azureblob.Open(ctx, address, nil)
	}
	return azureblob.OpenFile(ctx, address, nil)
}

func run(ctx context.Context, address string, in io.Reader, out io.Writer) error {
	driver, err := open(ctx, address)
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	fold := livestate.NewFold("counts-1", func() Counts { return Counts{} }, evolve, &livestate.FoldOptions[Counts]{Clone: maps.Clone[Counts]})
	service, err := livestate.Start(store, livestate.OfStream(daybook.Stream("words")), events, []livestate.Folder[Counted]{fold}, nil)
	if err != nil {
		return err
	}
	defer service.Close()
	if err := service.Ready(ctx); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		words := strings.Fields(lines.Text())
		// It decides on the counts as they are, and again if another program was
		// quicker: so no word of any program is lost.
		_, err := livestate.Append(ctx, service, func(state *livestate.State) ([]Counted, int, error) {
			counts := maps.Clone(fold.Of(state))
			var list []Counted
			for _, word := range words {
				counts[word]++
				list = append(list, Counted{Word: word, Count: counts[word]})
			}
			return list, len(list), nil
		}, nil)
		if err != nil {
			return err
		}
	}
	state, err := service.Current(ctx)
	if err != nil {
		return err
	}
	counts := fold.Of(state)
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(out, "%s %d\n", word, counts[word])
	}
	return nil
}
