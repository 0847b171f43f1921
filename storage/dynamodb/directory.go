package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"math/big"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// The directory lists the streams in their order, on keys that sort by numbers
// only. It is a tree of shelves. A shelf is a row with a set of names that agree
// in their first symbols; its sort key is the number that the next 15 symbols
// make, so the shelves of one prefix are sorted as their names are. Where a
// shelf is full, further names go to the shelves below it, whose prefix is 15
// symbols longer. A name is only ever added, before its stream is created: a
// name without a stream is passed over.

const (
	// symbols of a name's spelling are in one sort key: as many as fit into the
	// 38 digits of a number.
	shelfSymbols = 15
	// radix: 256 bytes, the end of a partition, and nothing.
	radix = 258
	// fullShelf is how many names a shelf takes.
	fullShelf = 16
)

// spelling is the partition and name of a stream in symbols that sort as
// streams do: bytes from 2 up, and 1 between the two.
func spelling(id daybook.StreamID) []int {
	symbols := make([]int, 0, len(id.Partition)+1+len(id.Name))
	for i := range len(id.Partition) {
		symbols = append(symbols, int(id.Partition[i])+2)
	}
	symbols = append(symbols, 1)
	for i := range len(id.Name) {
		symbols = append(symbols, int(id.Name[i])+2)
	}
	return symbols
}

// shelf is the place of a name at a depth: all with that prefix, and the next
// symbols as a number.
type shelf struct{ prefix, number string }

func shelfOf(symbols []int, depth int) shelf {
	at := depth * shelfSymbols
	prefix := make([]byte, 0, 2*at)
	for _, symbol := range symbols[:min(at, len(symbols))] {
		prefix = append(prefix, byte(symbol>>8), byte(symbol))
	}
	n, base := new(big.Int), big.NewInt(radix)
	for i := at; i < at+shelfSymbols; i++ {
		n.Mul(n, base)
		if i < len(symbols) {
			n.Add(n, big.NewInt(int64(symbols[i])))
		}
	}
	return shelf{own + "names:" + digest(string(prefix)), n.String()}
}

func (s shelf) key() row {
	return row{attrStream: text(s.prefix), attrChangeset: &types.AttributeValueMemberN{Value: s.number}}
}

// depths remembers which shelves are full: they stay so.
type depths struct {
	mu   sync.Mutex // guards all below
	full map[shelf]bool
}

// maxFull is how many are remembered before it begins anew.
const maxFull = 100_000

func (d *depths) isFull(s shelf) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full[s]
}

func (d *depths) fill(s shelf) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full == nil || len(d.full) > maxFull {
		d.full = map[shelf]bool{}
	}
	d.full[s] = true
}

// name is how a stream stands on a shelf.
func nameOf(id daybook.StreamID) []byte {
	return slices.Concat([]byte(id.Partition), []byte{0xff}, []byte(id.Name)) // no text has that byte
}

// shelve puts the names of streams that begin on shelves.
func (t *table) shelve(ctx context.Context, s *globalorder.Settlement) error {
	begun := map[daybook.StreamID]bool{}
	for _, c := range s.Changesets {
		if c.First == c.StreamFirst {
			begun[c.Stream] = true
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for id := range begun {
		group.Go(func() error { return t.shelveName(ctx, id) })
	}
	return group.Wait()
}

// shelveName puts a name on the first shelf that has room for it, or has it.
func (t *table) shelveName(ctx context.Context, id daybook.StreamID) error {
	symbols, name := spelling(id), nameOf(id)
	for depth := 0; ; depth++ {
		at := shelfOf(symbols, depth)
		if t.names.isFull(at) {
			continue
		}
		_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &t.name, Key: at.key(), ReturnConsumedCapacity: t.counting(),
			UpdateExpression:          aws.String("ADD #names :names"),
			ConditionExpression:       aws.String("attribute_not_exists(#names) OR size(#names) < :full OR contains(#names, :name)"),
			ExpressionAttributeNames:  map[string]string{"#names": attrNames},
			ExpressionAttributeValues: row{":names": &types.AttributeValueMemberBS{Value: [][]byte{name}}, ":name": binary(name), ":full": number(fullShelf)},
		})
		var full *types.ConditionalCheckFailedException
		if err == nil || !errors.As(err, &full) {
			return explained(err)
		}
		_, err = t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &t.name, Key: at.key(), ReturnConsumedCapacity: t.counting(),
			UpdateExpression: aws.String("SET #deeper = :yes"), ExpressionAttributeNames: map[string]string{"#deeper": attrDeeper},
			ExpressionAttributeValues: row{":yes": number(1)},
		})
		if err != nil {
			return explained(err)
		}
		t.names.fill(at)
	}
}

// Streams implements globalorder.Storage: names from the directory, and the head
// of each.
func (t *table) Streams(ctx context.Context, after daybook.StreamID, filter daybook.Filter) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		var wanted []daybook.StreamID
		pass := func() bool {
			heads, err := t.heads(ctx, wanted)
			wanted = nil
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return false
			}
			for _, head := range heads {
				if !yield(head, nil) {
					return false
				}
			}
			return true
		}
		for id, err := range t.listed(ctx, after) {
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			if filter.MatchesStream(id) {
				if wanted = append(wanted, id); len(wanted) == headsAtOnce && !pass() {
					return
				}
			}
		}
		pass()
	}
}

// headsAtOnce is how many streams of a list are looked up side by side.
const headsAtOnce = 16

func (t *table) heads(ctx context.Context, ids []daybook.StreamID) ([]daybook.StreamHead, error) {
	heads := make([]daybook.StreamHead, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	for i, id := range ids {
		group.Go(func() error {
			head, err := t.Head(ctx, id)
			heads[i] = head.StreamHead
			return err
		})
	}
	return heads, group.Wait()
}

// listed yields the names in the directory that sort above one, in order.
func (t *table) listed(ctx context.Context, after daybook.StreamID) iter.Seq2[daybook.StreamID, error] {
	return func(yield func(daybook.StreamID, error) bool) {
		var symbols []int
		if after != (daybook.StreamID{}) {
			symbols = spelling(after)
		}
		t.below(ctx, nil, symbols, func(symbols []int, err error) bool {
			if err != nil {
				return yield(daybook.StreamID{}, err)
			}
			id := streamSpelled(symbols)
			return id == after || yield(id, nil)
		})
	}
}

func streamSpelled(symbols []int) daybook.StreamID {
	spelled := make([]byte, len(symbols))
	end := slices.Index(symbols, 1)
	for i, symbol := range symbols {
		spelled[i] = byte(symbol - 2)
	}
	return daybook.StreamID{Partition: string(spelled[:end]), Name: string(spelled[end+1:])}
}

// below yields the names with a prefix, of full shelves' length, that do not
// sort below others. It reports whether to go on.
func (t *table) below(ctx context.Context, prefix, from []int, yield func(symbols []int, err error) bool) bool {
	depth := len(prefix) / shelfSymbols
	least := "0"
	first := shelfOf(prefix, depth)
	if len(from) > len(prefix) && slices.Equal(from[:len(prefix)], prefix) {
		least = shelfOf(from, depth).number
	}
	for r, err := range t.rows(ctx, query{partition: text(first.prefix), least: least}) {
		if err != nil {
			yield(nil, err)
			return false
		}
		names, err := namesOn(r)
		if err != nil {
			yield(nil, err)
			return false
		}
		deeper := func(func([]int, error) bool) bool { return true }
		if r.has(attrDeeper) {
			longer := names[0][:min(len(names[0]), len(prefix)+shelfSymbols)]
			deeper = func(yield func([]int, error) bool) bool { return t.below(ctx, longer, from, yield) }
		}
		if !merge(names, deeper, from, yield) {
			return false
		}
	}
	return true
}

// merge yields the names of a shelf and those below it, in order and each once,
// that do not sort below one.
func merge(names [][]int, deeper func(func([]int, error) bool) bool, from []int, yield func([]int, error) bool) bool {
	on := func(before []int) bool {
		for len(names) > 0 && (before == nil || slices.Compare(names[0], before) < 0) {
			name := names[0]
			names = names[1:]
			if slices.Compare(name, from) >= 0 && !yield(name, nil) {
				return false
			}
		}
		if len(names) > 0 && slices.Equal(names[0], before) {
			names = names[1:]
		}
		return true
	}
	return deeper(func(name []int, err error) bool {
		if err != nil {
			return yield(nil, err)
		}
		return on(name) && yield(name, nil)
	}) && on(nil)
}

// namesOn returns the names on a shelf as they are spelled, in order.
func namesOn(r row) ([][]int, error) {
	set, ok := r[attrNames].(*types.AttributeValueMemberBS)
	if !ok || len(set.Value) == 0 {
		return nil, corrupt("a shelf of the directory without names")
	}
	spelled := map[string][]int{}
	for _, name := range set.Value {
		partition, rest, cut := bytes.Cut(name, []byte{0xff})
		if !cut {
			return nil, corrupt("a name in the directory without its partition")
		}
		spelled[string(name)] = spelling(daybook.StreamID{Partition: string(partition), Name: string(rest)})
	}
	return slices.SortedFunc(maps.Values(spelled), slices.Compare[[]int]), nil
}
