package postgres

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		pages := sqlstore.Pages{
			Calls: d.calls, First: max(int64(read.From), 1), Last: int64(read.To), Limit: read.Limit, Backwards: read.Backwards,
			Place: func(r *daybook.Record) int64 { return int64(r.Version) },
			Source: &source{
				driver: d,
				query: func(first, last int64, limit int) (string, []any) {
					return d.streamQuery(id, &read, first, last, limit)
				},
				end: func(ctx context.Context) (int64, error) {
					head, err := d.Head(ctx, id)
					return int64(head.Version), err
				},
			},
		}
		pages.Run(ctx, yield)
	}
}

// streamQuery returns the query for so many events of a stream between two
// versions.
func (d *Driver) streamQuery(id daybook.StreamID, read *daybook.StreamRead, first, last int64, limit int) (string, []any) {
	q := newQuery()
	q.Add("SELECT ", eventColumns, ", ", unsettled, " FROM {schema}.events e WHERE e.stream = ", q.Value(id.Name), " AND e.partition = ", q.Value(id.Partition))
	q.Add(" AND e.version >= ", q.Value(first), " AND e.version <= ", q.Value(last))
	if !read.Until.IsZero() {
		q.Add(" AND e.recorded_at <= ", q.Value(read.Until))
	}
	q.Add(" AND ", visible, " ORDER BY e.version ", sqlstore.Direction(read.Backwards), " LIMIT ", q.Value(limit))
	return d.sql.in(q.String()), q.Values
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		pages := sqlstore.Pages{
			Calls: d.calls, First: int64(read.After) + 1, Last: int64(read.To), Limit: read.Limit, Backwards: read.Backwards,
			Place: func(r *daybook.Record) int64 { return int64(r.Position) },
			Source: &source{
				driver: d,
				query:  func(first, last int64, limit int) (string, []any) { return d.logQuery(&read, first, last, limit) },
				end: func(ctx context.Context) (int64, error) {
					end, err := d.End(ctx)
					return int64(end), err
				},
			},
		}
		pages.Run(ctx, yield)
	}
}

// source implements sqlstore.Source for a query.
type source struct {
	driver *Driver
	query  func(first, last int64, limit int) (string, []any)
	end    func(context.Context) (int64, error)

	reader  rowReader
	settled bool // what was promised when the read began stands in the log
}

// End implements sqlstore.Source.
func (s *source) End(ctx context.Context) (int64, error) { return s.end(ctx) }

// Fetch implements sqlstore.Source. For the first page it settles what was
// promised before. A page without records does not tell whether there is any.
func (s *source) Fetch(ctx context.Context, first, last int64, limit int, whole bool, page *sqlstore.Page) error {
	err := s.fetch(ctx, first, last, limit, whole, page)
	if err != nil || s.settled {
		return err
	}
	s.settled = true
	is := s.reader.unsettled
	if len(page.Records) == 0 {
		is, err = s.driver.isUnsettled(ctx)
	}
	if err != nil || !is {
		return err
	}
	if err := s.driver.settleLog(ctx); err != nil {
		return err
	}
	return s.fetch(ctx, first, last, limit, whole, page)
}

func (s *source) fetch(ctx context.Context, first, last int64, limit int, whole bool, page *sqlstore.Page) error {
	sql, values := s.query(first, last, limit)
	values = append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, values...)
	return s.driver.retry.Do(ctx, "read", func(int) error {
		page.Clear()
		s.reader.header = nil
		querying, stop := context.WithCancel(ctx)
		defer stop()
		rows, err := s.driver.pool.Query(querying, sql, values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			record, missing, err := s.reader.read(rows)
			if err != nil {
				return err
			}
			if missing {
				page.Missing = append(page.Missing, record.Changeset.Ordinal)
			}
			for _, value := range rows.RawValues() {
				page.Bytes += len(value)
			}
			if page.Records = append(page.Records, record); !whole && page.IsFull() {
				stop() // the server need not send the rest, which costs the connection
				page.Cut = true
				return nil
			}
		}
		return rows.Err()
	})
}

// Complete implements sqlstore.Source.
func (s *source) Complete(ctx context.Context, page *sqlstore.Page) error {
	var found sqlstore.Found
	err := s.driver.retry.Do(ctx, "read", func(int) error {
		found = sqlstore.Found{}
		rows, err := s.driver.pool.Query(ctx, s.driver.sql.changesets, page.Missing)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var ordinal daybook.Ordinal
			var d sqlstore.Details
			if err := rows.Scan(&ordinal, &d.Metadata, &d.Claims, &d.Releases, &d.RefersTo); err != nil {
				return err
			}
			found[ordinal] = d
		}
		return rows.Err()
	})
	page.Records = found.Complete(page.Records, page.Missing)
	return err
}
