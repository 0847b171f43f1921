package dynamodb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
)

// foreign is a changeset that EES has written and that is not in the log.
type foreign struct {
	key     string // of its stream
	number  int64
	ordinal daybook.Ordinal // 0 where EES's indexer has given none
	at      int64           // its timestamp, in microseconds

	// What inOrder sorts by: the lowest ordinal from here on in the stream, and
	// where there is none the latest time up to here.
	before, since int64
}

// foreignOf returns what a row of EES is; false where it is something else.
func foreignOf(r row) (foreign, bool) {
	f := foreign{key: r.text(attrStream), number: r.number(attrChangeset)}
	if _, isStream := streamOf(f.key); !isStream || f.key == counterKey || r.has(attrDaybook) || !r.has(attrFirstEvent) {
		return foreign{}, false
	}
	if r.has(attrPage) && r.has(attrPageItem) {
		f.ordinal = checkpoint{r.number(attrPage), r.number(attrPageItem)}.ordinal()
	}
	f.at = timeOf(r).UnixMicro()
	return f, true
}

func timeOf(r row) time.Time {
	at, err := time.Parse(time.RFC3339Nano, r.text(attrTimestamp))
	if err != nil {
		return time.UnixMicro(0).UTC()
	}
	return daybook.Microseconds(at)
}

// inOrder sorts changesets by EES's order, and those that have no place in it
// yet behind them by time; always a stream's changesets one after the other. It
// only goes by what never changes, so it comes to the same each time.
func inOrder(all []foreign) {
	slices.SortFunc(all, func(a, b foreign) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.number, b.number)) })
	for to := len(all); to > 0; {
		from := to - 1
		for from > 0 && all[from-1].key == all[to-1].key {
			from--
		}
		before, latest := int64(math.MaxInt64), int64(math.MinInt64)
		for i := to - 1; i >= from; i-- {
			if all[i].ordinal > 0 {
				before = min(before, int64(all[i].ordinal))
			}
			all[i].before, all[i].since = before, 0
		}
		for i := from; i < to; i++ {
			if latest = max(latest, all[i].at); all[i].before == math.MaxInt64 {
				all[i].since = latest
			}
		}
		to = from
	}
	slices.SortFunc(all, func(a, b foreign) int {
		return cmp.Or(cmp.Compare(a.before, b.before), cmp.Compare(a.since, b.since), cmp.Compare(a.key, b.key), cmp.Compare(a.number, b.number))
	})
}

// repaired gives the changeset that EES's counter names its ordinal, where EES's
// indexer died between counting it and writing it down.
func (t *table) repaired(ctx context.Context, all []foreign) error {
	counter, err := t.get(ctx, keyOf(counterKey, 0), "")
	if err != nil || counter == nil || counter.number(attrPageItem) < 0 {
		return err
	}
	last := cmp.Or(counter.number(attrPreviousNumberToSet), counter.number(attrPreviousNumber))
	for i := range all {
		if all[i].key == counter.text(attrPreviousStream) && all[i].number == last && all[i].ordinal == 0 {
			all[i].ordinal = checkpoint{counter.number(attrPage), counter.number(attrPageItem)}.ordinal()
		}
	}
	return nil
}

// contents reads changesets, as many as one request may name.
func (t *table) contents(ctx context.Context, some []foreign) (map[foreign]row, error) {
	type place struct {
		key    string
		number int64
	}
	wanted := map[place]foreign{}
	keys := make([]map[string]types.AttributeValue, len(some))
	for i, f := range some {
		wanted[place{f.key, f.number}] = f
		keys[i] = keyOf(f.key, f.number)
	}
	found := map[foreign]row{}
	for attempt := 0; len(keys) > 0; attempt++ {
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems:           map[string]types.KeysAndAttributes{t.name: {Keys: keys, ConsistentRead: aws.Bool(true)}},
			ReturnConsumedCapacity: t.counting(),
		})
		if err != nil {
			return nil, explained(err)
		}
		for _, item := range out.Responses[t.name] {
			r := row(item)
			found[wanted[place{r.text(attrStream), r.number(attrChangeset)}]] = r
		}
		if keys = out.UnprocessedKeys[t.name].Keys; len(keys) > 0 && len(out.Responses[t.name]) == 0 {
			wait, _ := pause(attempt, nil)
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// changesetOf makes a changeset of a row of EES. Its ids follow from its place,
// so that they are the same each time; false says that it has no events, which
// EES allows and a store does not.
func changesetOf(f foreign, r row) (daybook.RecordedChangeset, bool, error) {
	wrong := func(format string, values ...any) (daybook.RecordedChangeset, bool, error) {
		return daybook.RecordedChangeset{}, false, corrupt("changeset %d of %q, written by EES: %s", f.number, f.key, fmt.Sprintf(format, values...))
	}
	id, _ := streamOf(f.key)
	if err := id.Validate(); err != nil {
		return wrong("%v", err)
	}
	events := r.text(attrEvents)
	spans, err := spansOf(events)
	if err != nil {
		return wrong("%v", err)
	}
	first, last := r.number(attrFirstEvent), r.number(attrLastEvent)
	if len(spans) == 0 && last < first {
		return daybook.RecordedChangeset{}, false, nil
	}
	if first < 1 || last-first+1 != int64(len(spans)) {
		return wrong("it has %d events with the numbers %d to %d", len(spans), first, last)
	}
	place := fmt.Sprintf("dynamodb:%s\x00%d", f.key, f.number)
	c := daybook.RecordedChangeset{Stream: id, RecordedAt: timeOf(r), Records: make([]daybook.Record, len(spans))}
	c.Number, c.Ordinal, c.First, c.Count = daybook.ChangesetNumber(f.number), f.ordinal, daybook.Version(first), len(spans)
	c.AppendID = daybook.IDOf(place)
	if metadata := r.text(attrMetadata); metadata != "{}" {
		c.Metadata = []byte(metadata)
	}
	at := 0
	for i, s := range spans {
		at += s.gap
		data := []byte(events[at : at+s.length])
		at += s.length
		c.Records[i] = daybook.Record{
			Event:   daybook.Event{ID: daybook.IDOf(fmt.Sprintf("%s\x00%d", place, i)), Type: eventType(data), ContentType: daybook.ContentTypeJSON, Data: data},
			Version: c.First + daybook.Version(i),
		}
	}
	return c, true, nil
}

// eventType returns the type of an event that has none, as the HTTP contract of
// EES has it here: the member "type" of its data where that is a string that can
// be a type, else "event".
func eventType(data []byte) string {
	var members map[string]json.RawMessage
	var given string
	if data[0] == '{' && json.Unmarshal(data, &members) == nil && json.Unmarshal(members["type"], &given) == nil &&
		given != "" && len(given) <= daybook.MaxTypeLen && utf8.ValidString(given) {
		return given
	}
	return "event"
}

// isForeign reports whether an append is one of EES's that is being taken in.
func (t *table) isForeign(id daybook.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.foreign[id]
}

func (t *table) remember(id daybook.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.foreign == nil {
		t.foreign = map[daybook.ID]bool{}
	}
	t.foreign[id] = true
}

func (t *table) forget(ids []daybook.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.foreign, id)
	}
}

// isOfEES reports whether an error says that EES has written meanwhile.
func isOfEES(err error) bool {
	var written *ForeignError
	return errors.As(err, &written)
}
