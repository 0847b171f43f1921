package postgres

import (
	"context"
	"iter"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

func (d *Driver) readEnd(ctx context.Context) (e sqlstore.End, err error) {
	err = d.settled(ctx, "end", func() (unsettled bool, err error) {
		err = d.pool.QueryRow(ctx, d.sql.end).Scan(&e.Position, &e.Ordinal, &e.RecordedAt, &unsettled)
		return unsettled, err
	})
	return e, err
}

// End implements daybook.EndReader.
func (d *Driver) End(ctx context.Context) (daybook.Position, error) {
	if err := d.calls.Begin(); err != nil {
		return 0, err
	}
	defer d.calls.Done()
	return d.endPosition(ctx)
}

func (d *Driver) endPosition(ctx context.Context) (daybook.Position, error) {
	e, err := d.readEnd(ctx)
	return e.Position, err
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if err := d.calls.Begin(); err != nil {
		return daybook.Head{}, err
	}
	defer d.calls.Done()
	heads, err := d.readHeads(ctx, []daybook.StreamID{id})
	if err != nil {
		return daybook.Head{}, err
	}
	return heads[0], nil
}

// readHeads returns where streams end.
func (d *Driver) readHeads(ctx context.Context, ids []daybook.StreamID) ([]daybook.Head, error) {
	partitions, names := make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		partitions[i], names[i] = id.Partition, id.Name
	}
	var heads []daybook.Head
	err := d.settled(ctx, "heads", func() (unsettled bool, err error) {
		heads = make([]daybook.Head, len(ids))
		rows, err := d.pool.Query(ctx, d.sql.heads, partitions, names)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			var h daybook.Head
			var recordedAt *time.Time
			if err := rows.Scan(&n, &h.Version, &h.Changeset, &h.First, &h.Position, &recordedAt, &unsettled); err != nil {
				return false, err
			}
			if recordedAt != nil {
				h.RecordedAt = recordedAt.UTC()
			}
			heads[n-1] = h
		}
		return unsettled, rows.Err()
	})
	return heads, err
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	page := func(limit int) ([]daybook.StreamHead, error) { return d.listPage(ctx, &list, limit) }
	return sqlstore.Listed(ctx, list.Limit, page, func(last daybook.StreamHead) { list.After = last.Stream })
}

func (d *Driver) listPage(ctx context.Context, list *daybook.StreamList, limit int) (heads []daybook.StreamHead, err error) {
	if err := d.calls.Begin(); err != nil {
		return nil, err
	}
	defer d.calls.Done()
	if err := d.settlePromised(ctx); err != nil {
		return nil, err
	}
	q := newQuery()
	q.Add("SELECT s.partition, s.name, h.version, h.changeset, h.first, h.position, h.recorded_at")
	q.Add(" FROM {schema}.streams s CROSS JOIN LATERAL {schema}.head(s.partition, s.name) h WHERE h.first <= h.version")
	q.Add(" AND (s.partition, s.name) > (", q.Value(list.After.Partition), ", ", q.Value(list.After.Name), ")")
	if len(list.Filter.Partitions) > 0 {
		q.Add(" AND s.partition = ANY (", q.Value(list.Filter.Partitions), ")")
	}
	if len(list.Filter.StreamTypes) > 0 {
		q.Add(" AND s.type = ANY (", q.Value(list.Filter.StreamTypes), ")")
	}
	q.Add(" ORDER BY s.partition, s.name LIMIT ", q.Value(limit))
	err = d.retry.Do(ctx, "list", func(int) error {
		heads = heads[:0]
		rows, err := d.pool.Query(ctx, d.sql.in(q.String()), q.Values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h daybook.StreamHead
			if err := rows.Scan(&h.Stream.Partition, &h.Stream.Name, &h.Version, &h.Changeset, &h.First, &h.Position, &h.RecordedAt); err != nil {
				return err
			}
			h.RecordedAt = h.RecordedAt.UTC()
			heads = append(heads, h)
		}
		return rows.Err()
	})
	return heads, err
}

// Stats implements daybook.StatsReader. It counts the rows of the log.
func (d *Driver) Stats(ctx context.Context) (stats daybook.Stats, err error) {
	if err := d.calls.Begin(); err != nil {
		return daybook.Stats{}, err
	}
	defer d.calls.Done()
	if err := d.settlePromised(ctx); err != nil {
		return daybook.Stats{}, err
	}
	sql := d.sql.in(`
		SELECT (SELECT count(*) FROM {schema}.streams s WHERE s.version IS NULL OR EXISTS (
		           SELECT FROM {schema}.events e WHERE e.stream = s.name AND e.partition = s.partition AND e.version >= s.first)),
		       count(*) FILTER (WHERE e.place = 0), count(*), coalesce(max(e.changeset), 0), ` + sizeOf + `
		FROM {schema}.events e WHERE ` + visible)
	err = d.retry.Do(ctx, "stats", func(int) error {
		return d.pool.QueryRow(ctx, sql).Scan(&stats.Streams, &stats.Changesets, &stats.Records, &stats.LongestStream, &stats.Bytes)
	})
	if err != nil {
		return daybook.Stats{}, err
	}
	e, err := d.readEnd(ctx)
	stats.LastPosition, stats.LastOrdinal = e.Position, e.Ordinal
	return stats, err
}

// sizeOf is how many bytes the tables and their indexes have.
const sizeOf = `(SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
	WHERE c.relnamespace = (SELECT r.relnamespace FROM pg_class r WHERE r.oid = '{schema}.events'::regclass) AND c.relkind = 'r')`

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if err := d.calls.Begin(); err != nil {
		return daybook.StreamID{}, false, err
	}
	defer d.calls.Done()
	holder := daybook.StreamID{Partition: partition}
	var name *string
	err := d.settled(ctx, "claim", func() (unsettled bool, err error) {
		err = d.pool.QueryRow(ctx, d.sql.claim, partition, claim.Kind, claim.Value).Scan(&name, &unsettled)
		return unsettled, err
	})
	if err != nil || name == nil {
		return daybook.StreamID{}, false, err
	}
	holder.Name = *name
	return holder, true, nil
}
