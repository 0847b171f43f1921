package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// send stores a batch, and gives each of its appends a receipt or an error.
func (d *Driver) send(ctx context.Context, b *batch) {
	defer b.settled()
	if b.forecast != nil && d.sendKnown(ctx, b) {
		return
	}
	arguments := b.arguments(d.clock())
	var v verdict
	err := d.retry.Do(ctx, "append", func(int) error {
		v = verdict{}
		return d.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			row := c.QueryRow(ctx, d.sql.appends, arguments...)
			return row.Scan(&v.End.Position, &v.End.Ordinal, &v.End.RecordedAt, &v.deletions, &v.Versions, &v.Changesets, &v.refused, &v.inFlight)
		})
	})
	if err != nil {
		if b.unsure {
			err = d.retry.Unknown(err)
		}
		b.Fail(err)
		return
	}
	before := v.End.Position
	d.settle(ctx, b, &v)
	if v.inFlight {
		d.known.forget() // nothing can be foretold while others promise
	} else {
		d.known.learn(b, &v, before)
	}
	d.bell.Ring(v.End.Position)
}

// sendKnown stores a batch whose outcome is worked out. It reports false if
// that was done in vain: then nothing is stored, or b.unsure is set.
func (d *Driver) sendKnown(ctx context.Context, b *batch) bool {
	var recordedAt time.Time
	err := d.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) (err error) {
		recordedAt, err = d.callKnown(ctx, c.Conn(), b)
		if err == nil && recordedAt.IsZero() && b.before.stored() {
			recordedAt, err = d.callKnown(ctx, c.Conn(), b) // it may have overtaken the one before it
		}
		return err
	})
	if err != nil || recordedAt.IsZero() {
		// Whatever it was, append finds out: also what of it is stored after all.
		d.known.forget()
		b.unsure = err != nil && mayBeDone(err)
		return false
	}
	b.foretold = true
	for i, e := range b.Entries {
		e.Receipt = b.forecast.receipts[i]
		e.Receipt.RecordedAt = recordedAt
	}
	d.known.recorded(recordedAt)
	d.bell.Ring(daybook.Position(b.forecast.position + int64(b.Events)))
	return true
}

// callKnown calls the function append_known. It returns the recorded time; zero
// where nothing was stored.
func (d *Driver) callKnown(ctx context.Context, c *pgx.Conn, b *batch) (time.Time, error) {
	columns := columnsPool.Get().(*columns)
	p := b.forecast.parametersOf(b, d.clock(), columns)
	binary := []int16{pgx.BinaryFormatCode} // all of them
	b.leave()
	p.makeRoom(c.PgConn())
	var result *pgconn.ResultReader
	if d.pooled {
		result = c.PgConn().ExecParams(ctx, d.sql.appendKnown, p.values, p.types, binary, binary)
	} else {
		statement, err := c.Prepare(ctx, "daybook_append_known", d.sql.appendKnown)
		if err != nil {
			return time.Time{}, err
		}
		result = c.PgConn().ExecPrepared(ctx, statement.Name, p.values, binary, binary)
	}
	read := result.Read()
	if read.Err != nil {
		return time.Time{}, read.Err
	}
	columnsPool.Put(columns)
	if len(read.Rows) != 1 || read.Rows[0][0] == nil {
		return time.Time{}, nil
	}
	return row(read.Rows[0]).time(0), nil
}

// verdict is what the function append returns: where everything ended before,
// and what was refused.
type verdict struct {
	sqlstore.Verdict
	deletions int64
	refused   []byte // JSON
	inFlight  bool   // some transaction has promised something
}

// arguments returns what the function append is called with.
func (b *batch) arguments(clock *time.Time) []any {
	changesets := 0
	for _, e := range b.Entries {
		changesets += len(e.Append.Changesets)
	}
	ids := make([][16]byte, len(b.Entries))
	partitions, names := make([]string, len(b.Together.Streams)), make([]string, len(b.Together.Streams))
	for id, i := range b.Together.Streams {
		partitions[i], names[i] = id.Partition, id.Name
	}
	ofAppend, ofStream, counts := make([]int32, 0, changesets), make([]int32, 0, changesets), make([]int32, 0, changesets)
	expects, places := make([]int16, 0, changesets), make([]int64, 0, changesets)
	detailed := make([]bool, 0, changesets)
	all := newEvents(b.Events)
	var rare sqlstore.Besides
	for i, e := range b.Entries {
		ids[i] = e.Append.ID
		rare.Condition(i+1, e.Append.Condition)
		nth := 0
		for j := range e.Append.Changesets {
			c := &e.Append.Changesets[j]
			n := len(ofAppend) + 1
			ofAppend, ofStream, counts = append(ofAppend, int32(i+1)), append(ofStream, int32(b.Together.Streams[c.Stream]+1)), append(counts, int32(len(c.Events)))
			expect, place := sqlstore.Expectation(c.Expect)
			expects, places = append(expects, expect), append(places, place)
			detailed = append(detailed, rare.Details(n, c.Metadata, c.Claims, c.Releases, c.References))
			rare.Demands(n, c.Claims, c.Releases)
			for k := range c.Events {
				all.add(n, k, nth, &c.Events[k])
				nth++
			}
		}
	}
	return []any{
		clock, ids, partitions, names, ofAppend, ofStream, expects, places, counts, detailed,
		all.changeset, all.place, all.nth, all.id, all.kind, all.contentType, all.json, all.data, all.occurredAt, all.tags, all.context, all.metadata,
		all.tagged, rare.Text(),
	}
}

// settle makes receipts and errors of a verdict, and moves its ends behind what
// was stored.
func (d *Driver) settle(ctx context.Context, b *batch, v *verdict) {
	refused, err := v.refusals()
	if err != nil {
		b.Fail(err)
		return
	}
	repeated := b.Settle(&v.Verdict, refused, func(why *sqlstore.Refusal, a *daybook.Append, first int) error {
		if why.Why == "busy" {
			return errBusy
		}
		return why.Err(d.Name(), a, first)
	})
	if len(repeated) > 0 {
		sqlstore.AnswerAll(d.Name(), repeated, func(ids []daybook.ID) (sqlstore.Receipts, error) { return d.receipts(ctx, ids) })
	}
}

// refusals reads what was refused, by the index of the append.
func (v *verdict) refusals() (map[int]sqlstore.Refusal, error) {
	var list []sqlstore.Refusal
	if err := json.Unmarshal(v.refused, &list); err != nil {
		return nil, fmt.Errorf("postgres: the server's answer is not understood, the outcome is unknown: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	refused := make(map[int]sqlstore.Refusal, len(list))
	for _, r := range list {
		refused[r.Append] = r
	}
	return refused, nil
}
