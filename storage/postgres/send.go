package postgres

import (
	"context"
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
	err := d.again(ctx, "append", func(int) error {
		v = verdict{}
		return d.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			row := c.QueryRow(ctx, d.sql.appends, arguments...)
			return row.Scan(&v.position, &v.ordinal, &v.recordedAt, &v.deletions, &v.versions, &v.changesets, &v.refused, &v.inFlight)
		})
	})
	if err != nil {
		if b.unsure {
			err = unknown(err)
		}
		for _, e := range b.entries {
			e.err = err
		}
		return
	}
	before := v.position
	d.settle(ctx, b, &v)
	if v.inFlight {
		d.known.forget() // nothing can be foretold while others promise
	} else {
		d.known.learn(b, &v, before)
	}
	d.bell.ring(daybook.Position(v.position))
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
	for i, e := range b.entries {
		e.receipt = b.forecast.receipts[i]
		e.receipt.RecordedAt = recordedAt
	}
	d.known.recorded(recordedAt)
	d.bell.ring(daybook.Position(b.forecast.position + int64(b.events)))
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
	position, ordinal    int64
	recordedAt           time.Time
	deletions            int64
	versions, changesets []int64 // of each stream
	refused              []byte
	inFlight             bool // some transaction has promised something
}

// arguments returns what the function append is called with.
func (b *batch) arguments(clock *time.Time) []any {
	changesets := 0
	for _, e := range b.entries {
		changesets += len(e.append.Changesets)
	}
	ids := make([][16]byte, len(b.entries))
	partitions, names := make([]string, len(b.streams)), make([]string, len(b.streams))
	for id, i := range b.streams {
		partitions[i], names[i] = id.Partition, id.Name
	}
	ofAppend, ofStream, counts := make([]int32, 0, changesets), make([]int32, 0, changesets), make([]int32, 0, changesets)
	expects, places := make([]int16, 0, changesets), make([]int64, 0, changesets)
	detailed := make([]bool, 0, changesets)
	all := newEvents(b.events)
	var rare sqlstore.Besides
	for i, e := range b.entries {
		ids[i] = e.append.ID
		rare.Condition(i+1, e.append.Condition)
		nth := 0
		for j := range e.append.Changesets {
			c := &e.append.Changesets[j]
			n := len(ofAppend) + 1
			ofAppend, ofStream, counts = append(ofAppend, int32(i+1)), append(ofStream, int32(b.streams[c.Stream]+1)), append(counts, int32(len(c.Events)))
			expect, place := expectation(c.Expect)
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

// expectation returns an Expect as the function holds takes it.
func expectation(e daybook.Expect) (expect int16, place int64) {
	version, byVersion := e.Version()
	number, byChangeset := e.Changeset()
	switch {
	case e.None():
		return 1, 0
	case e.Exists():
		return 2, 0
	case byVersion:
		return 3, int64(version)
	case byChangeset:
		return 4, int64(number)
	}
	return 0, 0
}

// settle makes receipts and errors of a verdict.
func (d *Driver) settle(ctx context.Context, b *batch, v *verdict) {
	refused, err := refusals(v.refused)
	if err != nil {
		for _, e := range b.entries {
			e.err = fmt.Errorf("postgres: the server's answer is not understood, the outcome is unknown: %w", err)
		}
		return
	}
	var repeated []*entry
	first := 1 // the changeset of the batch that the append begins with
	for i, e := range b.entries {
		why, is := refused[i+1]
		switch {
		case !is:
			e.receipt = v.receipt(b, e.append)
		case why.Why == "repeated":
			repeated = append(repeated, e)
		case why.Why == "busy":
			e.err = errBusy
		default:
			e.err = why.err(e.append, first)
		}
		first += len(e.append.Changesets)
	}
	if len(repeated) > 0 {
		d.settleRepeated(ctx, repeated)
	}
}

// receipt returns the receipt of an append that was stored, and moves the ends
// of v behind it.
func (v *verdict) receipt(b *batch, a *daybook.Append) daybook.Receipt {
	r := daybook.Receipt{
		AppendID: a.ID, RecordedAt: v.recordedAt.UTC(), Durability: daybook.DurabilityDisk,
		Changesets: make([]daybook.ChangesetReceipt, len(a.Changesets)),
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		s, n := b.streams[c.Stream], int64(len(c.Events))
		v.ordinal++
		v.changesets[s]++
		r.Changesets[i] = daybook.ChangesetReceipt{
			Stream: c.Stream, Number: daybook.ChangesetNumber(v.changesets[s]), Ordinal: daybook.Ordinal(v.ordinal),
			First: daybook.Version(v.versions[s] + 1), Last: daybook.Version(v.versions[s] + n),
			FirstPosition: daybook.Position(v.position + 1), LastPosition: daybook.Position(v.position + n),
		}
		v.versions[s] += n
		v.position += n
	}
	return r
}
