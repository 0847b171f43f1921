package sqlserver

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

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
	q.Add("SELECT TOP (", q.Value(limit), ") ", eventColumns, " FROM {schema}.streams s JOIN {schema}.events e ON e.stream_id = s.id")
	q.Add(" WHERE s.partition_key = ", q.key(id.Partition), " AND s.name_key = ", q.key(id.Name))
	q.Add(" AND e.version >= ", q.Value(first), " AND e.version <= ", q.Value(last))
	if !read.Until.IsZero() {
		q.Add(" AND e.recorded_at <= ", q.time(read.Until))
	}
	q.Add(" AND ", visible, " ORDER BY e.version ", sqlstore.Direction(read.Backwards))
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
		if !isServed(&read.Filter) {
			pages.Keep = func(r *daybook.Record) bool { return read.Filter.Query.Matches(r.Type, r.Tags) }
		}
		pages.Run(ctx, yield)
	}
}

// source implements sqlstore.Source for a query.
type source struct {
	driver *Driver
	query  func(first, last int64, limit int) (string, []any)
	end    func(context.Context) (int64, error)
	reader rowReader
}

// End implements sqlstore.Source.
func (s *source) End(ctx context.Context) (int64, error) { return s.end(ctx) }

// Fetch implements sqlstore.Source.
func (s *source) Fetch(ctx context.Context, first, last int64, limit int, whole bool, page *sqlstore.Page) error {
	text, values := s.query(first, last, limit)
	return s.driver.retry.Do(ctx, "read", func(int) error {
		page.Clear()
		s.reader.header = nil
		rows, err := s.driver.pool.QueryContext(ctx, text, values...)
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
			page.Bytes += s.reader.bytes
			if page.Records = append(page.Records, record); !whole && page.IsFull() {
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
		rows, err := s.driver.pool.QueryContext(ctx, s.driver.sql.changesets, sqlstore.JSONText(page.Missing))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var ordinal daybook.Ordinal
			var metadata, claims, releases, references []byte
			if err := rows.Scan(&ordinal, &metadata, &claims, &releases, &references); err != nil {
				return err
			}
			if found[ordinal], err = detailsOf(metadata, claims, releases, references); err != nil {
				return fmt.Errorf("sqlserver: the changeset with ordinal %d: %w", ordinal, err)
			}
		}
		return rows.Err()
	})
	page.Records = found.Complete(page.Records, page.Missing)
	return err
}

// detailsOf reads the columns of the table changesets, which are JSON but for
// the metadata.
func detailsOf(metadata, claims, releases, references []byte) (d sqlstore.Details, err error) {
	if len(metadata) > 0 {
		d.Metadata = metadata
	}
	for _, part := range []struct {
		text []byte
		into any
	}{{claims, &d.Claims}, {releases, &d.Releases}, {references, &d.RefersTo}} {
		if part.text == nil {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return d, err
		}
	}
	return d, nil
}
