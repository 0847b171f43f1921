package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// Promise is what AppendTx answers: where an append stands in its streams, if the
// transaction commits. Positions and recorded time are given after that; the same
// append sent to Append then, with its id, is answered with all of its receipt.
type Promise struct {
	AppendID   daybook.ID
	Changesets []PromisedChangeset // in the order of Append.Changesets
	// Repeated is set when the append had been stored, or promised by the same
	// transaction, before: nothing was added, and the rest is as it was
	// answered then.
	Repeated bool
}

// PromisedChangeset says where one changeset stands in its stream.
type PromisedChangeset struct {
	Stream daybook.StreamID
	Number daybook.ChangesetNumber
	First  daybook.Version // of its first record
	Last   daybook.Version // of its last record
}

// AppendTx appends inside a transaction of the caller's, in the database of the
// store: the events are stored if it commits, and leave no trace if it does not.
// It may be called more than once in a transaction, which then builds on what it
// has promised itself.
//
// Everything is decided at the call, and refused with the errors of Store.AppendAll,
// after which the transaction is as it was and can go on; only an error of the
// server makes it fail. In a *daybook.ConflictError Found.Position is 0 where the
// stream has only records without a position yet.
//
// Until the transaction ends nobody else changes what the append depends on: its
// streams, its id, its claims and releases, and that the streams it refers to
// exist. Appends and deletions of others that depend on the same wait for it, a
// second AppendTx inside the server, others in their own process (Append returns
// when its context ends, and nothing was stored). All else goes on however long
// it takes, but for Import. Two transactions that wait for each other are ended by
// the server with an error of deadlock, as with rows.
//
// When it has committed the events are seen by all who read afterwards, through
// whatever driver: the first to look, or to append, gives them their positions,
// in the order of the commits as far as they touch the same streams. A bare SQL
// reader of the table events sees them after that.
//
// How durable it then is, is how the caller commits (synchronous_commit).
//
// The isolation level must be READ COMMITTED, else *daybook.InvalidError. A
// Condition is answered with *daybook.UnsupportedError: to keep it true until the
// transaction ends, every append to the store would have to wait for it.
func (d *Driver) AppendTx(ctx context.Context, tx pgx.Tx, a daybook.Append) (Promise, error) {
	if err := d.calls.Begin(); err != nil {
		return Promise{}, err
	}
	defer d.calls.Done()
	// A Store on a driver that promises checks the input, and explains conflicts.
	receipt, err := daybook.New(&promiser{d, tx}, nil).AppendAll(ctx, a)
	if err != nil {
		return Promise{}, err
	}
	promise := Promise{AppendID: receipt.AppendID, Repeated: receipt.Repeated, Changesets: make([]PromisedChangeset, len(receipt.Changesets))}
	for i, c := range receipt.Changesets {
		promise.Changesets[i] = PromisedChangeset{Stream: c.Stream, Number: c.Number, First: c.First, Last: c.Last}
	}
	return promise, nil
}

// promiser is a driver whose appends are promised by a transaction.
type promiser struct {
	*Driver
	tx pgx.Tx
}

// Append promises an append. Its receipt has no positions.
func (p *promiser) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	switch {
	case a.Condition != nil:
		return daybook.Receipt{}, p.unsupported("a condition inside a caller's transaction, since all appends would have to wait for that: use Append, or Expect")
	case a.Durability > daybook.DurabilityDisk:
		return daybook.Receipt{}, p.unsupported(fmt.Sprintf("durability %s", a.Durability))
	}
	b := newBatch(sqlstore.NewEntry(&a))
	var v verdict
	// The connection is the caller's: it may keep no prepared statements.
	arguments := append([]any{pgx.QueryExecModeDescribeExec}, b.arguments(nil)[1:]...)
	if err := p.tx.QueryRow(ctx, p.sql.promise, arguments...).Scan(&v.Versions, &v.Changesets, &v.refused); err != nil {
		return daybook.Receipt{}, explained(err, p.options.Schema)
	}
	refused, err := v.refusals()
	if err != nil {
		return daybook.Receipt{}, fmt.Errorf("%w: roll the transaction back", err)
	}
	why, is := refused[1]
	switch {
	case !is:
		return v.Receipt(b.Together.Streams, &a), nil
	case why.Why == sqlstore.Repeated:
		return p.repeated(ctx, &a)
	case why.Why == "transaction":
		return daybook.Receipt{}, &daybook.InvalidError{Field: "tx", Value: "a transaction at " + why.Found, Reason: "must write, at the isolation level read committed"}
	}
	return daybook.Receipt{}, why.Err(p.Name(), &a, 1)
}

// repeated returns the receipt of an append that was stored, or promised, before.
func (p *promiser) repeated(ctx context.Context, a *daybook.Append) (daybook.Receipt, error) {
	receipts := sqlstore.Receipts{}
	for _, sql := range []string{p.sql.promisedReceipts, p.sql.receipts} {
		rows, err := p.tx.Query(ctx, sql, pgx.QueryExecModeDescribeExec, [][16]byte{a.ID})
		if err == nil {
			err = readReceipts(rows, receipts)
		}
		if err != nil {
			return daybook.Receipt{}, explained(err, p.options.Schema)
		}
		if receipts[a.ID] != nil {
			break
		}
	}
	return receipts.Answer(p.Name(), a)
}
