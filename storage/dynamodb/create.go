package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// Create implements globalorder.Storage: one transaction creates the page and
// writes every row that it leads to. It carries the nonce of the page as its
// token, so the service answers a repeat of it as it answered the first.
func (t *table) Create(ctx context.Context, page *globalorder.StoredPage) error {
	settlement := page.Content.Settlement()
	if t.adopts(settlement) {
		// What stands in the transaction depends on what it changes: an attempt of
		// it that was applied must be found before another one is made.
		head, err := t.get(ctx, keyOf(pagesKey(blockOf(page.Number)), partNumber(page.Number, 0)), attrParts)
		if err != nil {
			return err
		}
		if head != nil {
			return globalorder.ErrExists
		}
	}
	if err := t.shelve(ctx, settlement); err != nil {
		return err
	}
	w := &transaction{table: t.name}
	for i, item := range pageItems(page) {
		if i == 0 {
			w.put(item, "attribute_not_exists(#p)", map[string]string{"#p": attrStream})
		} else {
			w.put(item, "", nil)
		}
	}
	if page.Number%blockPages == 0 || page.Number == 1 {
		block := keyOf(blocksKey, int64(page.First))
		block[attrBlock] = number(blockOf(page.Number))
		w.put(block, "", nil)
	}
	for _, a := range settlement.Appends {
		r := keyOf(appendKey(a.ID), 0)
		r[attrAt] = number(a.Page)
		w.put(r, "", nil)
	}
	for _, c := range settlement.Claims {
		r := keyOf(claimKey(c.Key), 0)
		r[attrStamp], r[attrKind], r[attrValue] = number(c.Stamp), text(c.Key.Claim.Kind), text(c.Key.Claim.Value)
		if c.Holder != (daybook.StreamID{}) {
			r[attrHolder] = text(streamKey(c.Holder))
		}
		w.put(r, "", nil)
	}
	adopted, err := t.writeChangesets(ctx, w, page, settlement)
	if err != nil {
		return err
	}
	if err := t.writeCounter(ctx, w, page, settlement, len(adopted) > 0); err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return err
	}
	if err := t.commit(ctx, w, page.Content.Nonce); err != nil {
		return err
	}
	page.Done = true
	t.race.win()
	stored := *page
	stored.Content = nil
	t.recent.add(stored)
	t.forget(adopted)
	return nil
}

// adopts reports whether changesets of EES are among those of a page.
func (t *table) adopts(s *globalorder.Settlement) bool {
	return slices.ContainsFunc(s.Changesets, func(c *globalorder.PlacedChangeset) bool { return t.isForeign(c.AppendID) })
}

// writeChangesets adds the rows of the changesets, and returns the append ids of
// those that EES has written.
func (t *table) writeChangesets(ctx context.Context, w *transaction, page *globalorder.StoredPage, s *globalorder.Settlement) (adopted []daybook.ID, err error) {
	for _, c := range s.Changesets {
		var parts []row
		if t.isForeign(c.AppendID) {
			key := keyOf(streamKey(c.Stream), int64(c.Number))
			found, err := t.get(ctx, key, attrEvents)
			if err != nil {
				return nil, err
			}
			set, more, err := adoptedUpdate(c, page.Number, found.text(attrEvents))
			if err != nil {
				return nil, err
			}
			parts, adopted = more, append(adopted, c.AppendID)
			w.update(key, set, "attribute_exists(#key) AND attribute_not_exists(#ours)", map[string]string{"#key": attrStream, "#ours": attrDaybook}, nil)
		} else {
			r, more := changesetRows(c, page.Number)
			parts = more
			w.put(r, "attribute_not_exists(#key)", map[string]string{"#key": attrStream})
		}
		for _, part := range parts {
			w.put(part, "", nil)
		}
	}
	return adopted, nil
}

// writeCounter keeps EES's counter on the last changeset, on condition that
// nobody but us has moved it: EES's own indexer has then given numbers to
// changesets that are not in the log yet. Where the page takes such in, the
// counter must be where it is now.
func (t *table) writeCounter(ctx context.Context, w *transaction, page *globalorder.StoredPage, s *globalorder.Settlement, adopting bool) error {
	if len(s.Changesets) == 0 {
		return nil
	}
	last := s.Changesets[len(s.Changesets)-1]
	at, key := checkpointOf(last.Ordinal), keyOf(counterKey, 0)
	set := row{
		attrPage: number(at.page), attrPageItem: number(at.item), attrOurPage: number(at.page), attrOurItem: number(at.item), attrLastPage: number(page.Number),
		attrPreviousStream: text(streamKey(last.Stream)), attrPreviousNumber: number(last.Number), attrPreviousNumberToSet: number(last.Number),
	}
	names := map[string]string{"#page": attrPage, "#item": attrPageItem}
	if !adopting {
		names["#key"], names["#ourpage"], names["#ouritem"] = attrStream, attrOurPage, attrOurItem
		w.counter = w.update(key, set, "attribute_not_exists(#key) OR (#page = #ourpage AND #item = #ouritem) OR #item = :none", names, row{":none": number(-1)})
		return nil
	}
	counter, err := t.get(ctx, key, "")
	if err != nil {
		return err
	}
	if counter == nil {
		w.counter = w.update(key, set, "attribute_not_exists(#page) AND attribute_not_exists(#item)", names, nil)
		return nil
	}
	w.counter = w.update(key, set, "#page = :page AND #item = :item", names, row{":page": counter[attrPage], ":item": counter[attrPageItem]})
	return nil
}

// transaction collects what is written in one step. The first item is the page.
type transaction struct {
	table   string
	items   []types.TransactWriteItem
	bytes   int
	counter int // the index of the counter; 0 is none
}

func (w *transaction) put(r row, condition string, names map[string]string) {
	put := &types.Put{TableName: &w.table, Item: r}
	if condition != "" {
		put.ConditionExpression, put.ExpressionAttributeNames = &condition, names
	}
	w.items = append(w.items, types.TransactWriteItem{Put: put})
	w.bytes += r.size()
}

// update sets attributes, and returns the index of the item.
func (w *transaction) update(key, set row, condition string, names map[string]string, values row) int {
	expression := "SET "
	all := row{}
	for name, value := range values {
		all[name] = value
	}
	for i, name := range slices.Sorted(maps.Keys(set)) {
		if i > 0 {
			expression += ", "
		}
		expression += fmt.Sprintf("#s%d = :s%d", i, i)
		names[fmt.Sprintf("#s%d", i)], all[fmt.Sprintf(":s%d", i)] = name, set[name]
	}
	w.items = append(w.items, types.TransactWriteItem{Update: &types.Update{
		TableName: &w.table, Key: key, UpdateExpression: &expression, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: all,
	}})
	w.bytes += set.size() + key.size()
	return len(w.items) - 1
}

// check refuses what the service would, before it is sent.
func (w *transaction) check() error {
	if len(w.items) > transactionItems {
		return &daybook.LimitError{Field: "append", Value: int64(len(w.items)), Limit: transactionItems, Unit: "items of one transaction"}
	}
	if w.bytes > transactionBytes {
		return &daybook.LimitError{Field: "append", Value: int64(w.bytes), Limit: transactionBytes, Unit: "bytes of one transaction"}
	}
	return nil
}

// commit sends a transaction. What another attempt of it has done counts: a
// refusal behind one that may have been carried out refuses nothing.
func (t *table) commit(ctx context.Context, w *transaction, token daybook.ID) error {
	var seen outcome
	_, err := t.client.TransactWriteItems(context.WithValue(ctx, outcomeKey{}, &seen), &dynamodb.TransactWriteItemsInput{
		TransactItems: w.items, ClientRequestToken: aws.String(token.String()), ReturnConsumedCapacity: t.counting(),
	})
	if err == nil {
		return nil
	}
	if codes := reasonCodes(err); len(codes) == len(w.items) {
		if codes[0] == codeCondition {
			t.race.lose(ctx)
			return globalorder.ErrExists
		}
		for i, code := range codes {
			if code != codeCondition || seen.unclear {
				continue
			}
			if i == w.counter && i > 0 {
				return errCounterMoved
			}
			return &ForeignError{Reason: "another program has written into a stream of the append: that must be taken in first (Driver.Adopt)"}
		}
	}
	if err = explained(err); seen.unclear && errors.Is(err, daybook.ErrRefused) {
		return &UnavailableError{Err: errors.New("an attempt had no answer, and the next one was refused: " + err.Error())}
	}
	return err
}

// errCounterMoved says that EES's indexer has run.
var errCounterMoved = &ForeignError{Reason: "the indexer of EES has moved its counter: what it has counted must be taken in first (Driver.Adopt)"}
