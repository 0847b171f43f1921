package postgres

import (
	"context"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		p := &pages{
			driver: d, limit: read.Limit, backwards: read.Backwards, last: int64(read.To),
			place: func(r *daybook.Record) int64 { return int64(r.Version) },
			first: max(int64(read.From), 1),
			query: func(first, last int64, limit int) (string, []any) {
				return d.streamQuery(id, &read, first, last, limit)
			},
		}
		p.end = func(ctx context.Context) (int64, error) {
			head, err := d.Head(ctx, id)
			return int64(head.Version), err
		}
		p.run(ctx, yield)
	}
}

// streamQuery returns the query for so many events of a stream between two
// versions.
func (d *Driver) streamQuery(id daybook.StreamID, read *daybook.StreamRead, first, last int64, limit int) (string, []any) {
	var q sqlText
	q.add("SELECT ", eventColumns, ", ", unsettled, " FROM {schema}.events e WHERE e.stream = ", q.value(id.Name), " AND e.partition = ", q.value(id.Partition))
	q.add(" AND e.version >= ", q.value(first), " AND e.version <= ", q.value(last))
	if !read.Until.IsZero() {
		q.add(" AND e.recorded_at <= ", q.value(read.Until))
	}
	q.add(" AND ", visible, " ORDER BY e.version ", direction(read.Backwards), " LIMIT ", q.value(limit))
	return d.sql.in(q.text.String()), q.values
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		p := &pages{
			driver: d, limit: read.Limit, backwards: read.Backwards, last: int64(read.To),
			place: func(r *daybook.Record) int64 { return int64(r.Position) },
			first: int64(read.After) + 1,
			query: func(first, last int64, limit int) (string, []any) { return d.logQuery(&read, first, last, limit) },
		}
		p.end = func(ctx context.Context) (int64, error) {
			end, err := d.End(ctx)
			return int64(end), err
		}
		p.run(ctx, yield)
	}
}

// direction returns the word for an order.
func direction(backwards bool) string {
	if backwards {
		return "DESC"
	}
	return "ASC"
}

// pages reads what a read asks for, page by page: between two pages it holds no
// connection and no snapshot, however long its consumer takes. A changeset is
// on one page, so that a deletion meanwhile takes all of it, or nothing.
type pages struct {
	driver      *Driver
	query       func(first, last int64, limit int) (string, []any)
	place       func(*daybook.Record) int64 // where a record stands: its version or position
	end         func(context.Context) (int64, error)
	first, last int64 // of the places that are left; last 0 is the end
	limit       int   // how many records are left; 0 is no limit
	backwards   bool

	reader  rowReader
	rows    int              // on the next page
	memory  []daybook.Record // of the page
	before  []daybook.Record // of the page before
	settled bool             // what was promised when the read began stands in the log
	// large is set while the next page has one changeset, however much that is.
	large bool
}

// How many rows a page has: the first ones few, then as many as have about
// pageBytes.
const (
	firstPage   = 128
	leastPage   = 2
	largestPage = 4096
	pageBytes   = 2 << 20
	// mostPageBytes is where a page ends whose records are larger than thought.
	mostPageBytes = 16 << 20
)

func (p *pages) run(ctx context.Context, yield func(daybook.Record, error) bool) {
	if err := p.driver.begin(); err != nil {
		yield(daybook.Record{}, err)
		return
	}
	p.driver.calls.Done()
	p.rows = firstPage
	bounded := p.last > 0
	if !bounded {
		p.last = math.MaxInt64
	}
	var ahead chan fetched // the page that is read while this one is consumed
	for n := 0; ; n++ {
		var f fetched
		if ahead != nil {
			f = <-ahead
		} else {
			f = p.page(ctx)
		}
		if f.err == nil && f.more && !bounded && !p.backwards {
			// What is stored from now on is not waited for.
			p.last, f.err = p.end(ctx)
			bounded = true
		}
		if f.err != nil {
			yield(daybook.Record{}, f.err)
			return
		}
		if p.limit > 0 {
			p.limit -= len(f.records)
			f.more = f.more && p.limit > 0
		}
		if ahead = nil; f.more && n >= fewPages {
			ahead = make(chan fetched, 1) // a consumer who has enough leaves it there
			go func(ahead chan<- fetched) { ahead <- p.page(ctx) }(ahead)
		}
		for i := range f.records {
			if err := ctx.Err(); err != nil {
				yield(daybook.Record{}, err)
				return
			}
			if !yield(f.records[i], nil) {
				return
			}
		}
		if !f.more {
			return
		}
	}
}

// fewPages is how many pages are read one after the other: reads that end soon
// read nothing in vain.
const fewPages = 2

// fetched is a page, and whether there may be another behind it.
type fetched struct {
	records []daybook.Record
	more    bool
	err     error
}

// page reads the next page.
func (p *pages) page(ctx context.Context) fetched {
	if err := p.driver.begin(); err != nil {
		return fetched{err: err}
	}
	defer p.driver.calls.Done()
	p.memory, p.before = p.before, p.memory // the page before is still being consumed
	limit, last := p.rows, false
	if p.limit > 0 && p.limit <= limit {
		limit, last = p.limit, true
	}
	var records []daybook.Record
	for {
		var whole bool
		var err error
		if records, whole, err = p.fetchSettled(ctx, limit); err != nil {
			return fetched{err: err}
		}
		if whole && (last || len(records) < limit) {
			records, err = p.complete(ctx, records)
			return fetched{records: records, err: err}
		}
		n := len(records)
		for n > 0 && records[n-1].Changeset == records[len(records)-1].Changeset {
			n--
		}
		if n > 0 {
			records = records[:n]
			break
		}
		// One changeset is larger than the page.
		limit, p.large = max(2*limit, records[0].Changeset.Count+1), true
		if last = p.limit > 0 && p.limit <= limit; last {
			limit = p.limit
		}
	}
	p.large = false
	if at := p.place(&records[len(records)-1]); p.backwards {
		p.last = at - 1
	} else {
		p.first = at + 1
	}
	records, err := p.complete(ctx, records)
	return fetched{records: records, more: p.first <= p.last, err: err}
}

// fetchSettled is fetch, and for the first page settles what was promised
// before. A page without records does not tell whether there is any.
func (p *pages) fetchSettled(ctx context.Context, limit int) (records []daybook.Record, whole bool, err error) {
	if p.settled {
		return p.fetch(ctx, limit)
	}
	p.settled = true
	records, whole, err = p.fetch(ctx, limit)
	switch {
	case err != nil, len(records) > 0 && !p.reader.unsettled:
		return records, whole, err
	case len(records) > 0:
		err = p.driver.settleLog(ctx)
	default:
		var is bool
		if is, err = p.driver.isUnsettled(ctx); err == nil && !is {
			return records, whole, nil
		}
		if err == nil {
			err = p.driver.settleLog(ctx)
		}
	}
	if err != nil {
		return nil, false, err
	}
	return p.fetch(ctx, limit)
}

// fetch reads so many records at most. It stops before that where they are more
// than a page is meant to have: then it reports false.
func (p *pages) fetch(ctx context.Context, limit int) (records []daybook.Record, whole bool, err error) {
	sql, values := p.query(p.first, p.last, limit)
	values = append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, values...)
	bytes := 0
	if cap(p.memory) < limit {
		p.memory = make([]daybook.Record, 0, limit)
	}
	err = p.driver.again(ctx, "read", func(int) error {
		records, bytes, whole = p.memory[:0], 0, true
		p.reader.header, p.reader.missing = nil, p.reader.missing[:0]
		querying, stop := context.WithCancel(ctx)
		defer stop()
		rows, err := p.driver.pool.Query(querying, sql, values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			record, err := p.reader.read(rows)
			if err != nil {
				return err
			}
			for _, value := range rows.RawValues() {
				bytes += len(value)
			}
			records = append(records, record)
			if bytes > mostPageBytes && len(records) > 1 && !p.large {
				stop() // the server need not send the rest, which costs the connection
				whole = false
				return nil
			}
		}
		return rows.Err()
	})
	if len(records) > 0 {
		p.rows = min(max(pageBytes*len(records)/max(bytes, 1), leastPage), largestPage)
	}
	return records, whole, err
}

// complete fetches what the changesets of records have besides. Those that were
// deleted meanwhile are left out.
func (p *pages) complete(ctx context.Context, records []daybook.Record) ([]daybook.Record, error) {
	if len(p.reader.missing) == 0 {
		return records, nil
	}
	ordinals := make([]int64, len(p.reader.missing))
	gone := map[daybook.Ordinal]bool{}
	for i, ordinal := range p.reader.missing {
		ordinals[i], gone[ordinal] = int64(ordinal), true
	}
	var found map[daybook.Ordinal]details
	err := p.driver.again(ctx, "read", func(int) error {
		rows, err := p.driver.pool.Query(ctx, p.driver.sql.changesets, ordinals)
		if err != nil {
			return err
		}
		found, err = readDetails(rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	complete(records, found)
	kept := records[:0]
	for _, record := range records {
		if _, there := found[record.Changeset.Ordinal]; there || !gone[record.Changeset.Ordinal] {
			kept = append(kept, record)
		}
	}
	return kept, nil
}
