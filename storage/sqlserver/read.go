package sqlserver

import (
	"context"
	"iter"
	"math"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
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
	q.add("SELECT TOP (", q.value(limit), ") ", eventColumns, " FROM {schema}.streams s JOIN {schema}.events e ON e.stream_id = s.id")
	q.add(" WHERE s.partition_key = ", q.key(id.Partition), " AND s.name_key = ", q.key(id.Name))
	q.add(" AND e.version >= ", q.value(first), " AND e.version <= ", q.value(last))
	if !read.Until.IsZero() {
		q.add(" AND e.recorded_at <= ", q.time(read.Until))
	}
	q.add(" AND ", visible, " ORDER BY e.version ", direction(read.Backwards))
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
		if !isServed(&read.Filter) {
			p.keep = func(r *daybook.Record) bool { return read.Filter.Query.Matches(r.Type, r.Tags) }
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
	// keep selects among what the query finds; nil is all of it.
	keep func(*daybook.Record) bool

	reader rowReader
	rows   int // on the next page
}

// How many rows a page has: the first ones few, then as many as have about
// pageBytes.
const (
	firstPage   = 128
	leastPage   = 16
	largestPage = 4096
	pageBytes   = 2 << 20
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
	for {
		records, more, err := p.page(ctx)
		if err != nil {
			yield(daybook.Record{}, err)
			return
		}
		if more && !bounded && !p.backwards {
			// What is stored from now on is not waited for.
			if p.last, err = p.end(ctx); err != nil {
				yield(daybook.Record{}, err)
				return
			}
			bounded = true
		}
		for i := range records {
			if err := ctx.Err(); err != nil {
				yield(daybook.Record{}, err)
				return
			}
			if p.keep != nil && !p.keep(&records[i]) {
				continue
			}
			if !yield(records[i], nil) {
				return
			}
			if p.limit > 0 {
				if p.limit--; p.limit == 0 {
					return
				}
			}
		}
		if !more {
			return
		}
	}
}

// page reads the next page, and reports whether there may be another.
func (p *pages) page(ctx context.Context) (records []daybook.Record, more bool, err error) {
	if err := p.driver.begin(); err != nil {
		return nil, false, err
	}
	defer p.driver.calls.Done()
	limit, last := p.rows, false
	bounded := p.limit > 0 && p.keep == nil
	if bounded && p.limit <= limit {
		limit, last = p.limit, true
	}
	for {
		if records, err = p.fetch(ctx, limit); err != nil {
			return nil, false, err
		}
		if len(records) < limit || last {
			records, err = p.complete(ctx, records)
			return records, false, err
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
		limit = max(2*limit, records[0].Changeset.Count+1)
		if last = bounded && p.limit <= limit; last {
			limit = p.limit
		}
	}
	if at := p.place(&records[len(records)-1]); p.backwards {
		p.last = at - 1
	} else {
		p.first = at + 1
	}
	records, err = p.complete(ctx, records)
	return records, p.first <= p.last, err
}

// fetch reads so many records at most.
func (p *pages) fetch(ctx context.Context, limit int) (records []daybook.Record, err error) {
	text, values := p.query(p.first, p.last, limit)
	err = p.driver.again(ctx, "read", func(int) error {
		records = records[:0]
		p.reader.header, p.reader.missing, p.reader.bytes = nil, p.reader.missing[:0], 0
		rows, err := p.driver.pool.QueryContext(ctx, text, values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			record, err := p.reader.read(rows)
			if err != nil {
				return err
			}
			records = append(records, record)
		}
		return rows.Err()
	})
	if len(records) > 0 {
		p.rows = min(max(pageBytes*len(records)/max(p.reader.bytes, 1), leastPage), largestPage)
	}
	return records, err
}

// complete fetches what the changesets of records have besides events. Those
// that were deleted meanwhile are left out.
func (p *pages) complete(ctx context.Context, records []daybook.Record) ([]daybook.Record, error) {
	if len(p.reader.missing) == 0 {
		return records, nil
	}
	gone := map[daybook.Ordinal]bool{}
	for _, ordinal := range p.reader.missing {
		gone[ordinal] = true
	}
	var found map[daybook.Ordinal]details
	err := p.driver.again(ctx, "read", func(int) error {
		rows, err := p.driver.pool.QueryContext(ctx, p.driver.sql.changesets, sqlstore.JSONText(p.reader.missing))
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
