package sqlserver

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"iter"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

func (d *Driver) readEnd(ctx context.Context) (e sqlstore.End, err error) {
	err = d.retry.Do(ctx, "end", func(int) error {
		return d.pool.QueryRowContext(ctx, d.sql.end).Scan(&e.Position, &e.Ordinal, &e.RecordedAt)
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
	return d.readHead(ctx, id)
}

func (d *Driver) readHead(ctx context.Context, id daybook.StreamID) (h daybook.Head, err error) {
	err = d.retry.Do(ctx, "head", func(int) error {
		row := d.pool.QueryRowContext(ctx, d.sql.head, []byte(id.Partition), []byte(id.Name))
		err := row.Scan(&h.Version, &h.Changeset, &h.First, &h.Position, &h.RecordedAt)
		if errors.Is(err, sql.ErrNoRows) {
			h = daybook.Head{}
			return nil
		}
		return err
	})
	if h.Version > 0 {
		h.RecordedAt = h.RecordedAt.UTC()
	}
	return h, err
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	page := func(limit int) ([]daybook.StreamHead, error) { return d.listPage(ctx, &list, limit) }
	return sqlstore.Listed(ctx, list.Limit, page, func(last daybook.StreamHead) { list.After = last.Stream })
}

// listQuery returns the query for so many streams.
func (d *Driver) listQuery(list *daybook.StreamList, limit int) (string, []any) {
	q := newQuery()
	q.Add("SELECT TOP (", q.Value(limit), ") s.partition_key, s.name_key, h.version, h.changeset, h.[first], h.position, h.recorded_at")
	q.Add(" FROM {schema}.streams s CROSS APPLY {schema}.head(s.id) h WHERE h.[first] <= h.version")
	partition, name := q.key(list.After.Partition), q.key(list.After.Name)
	q.Add(" AND s.partition_key >= ", partition, " AND (s.partition_key > ", partition, " OR s.name_key > ", name, ")")
	if len(list.Filter.Partitions) > 0 {
		q.Add(" AND s.partition_key IN (", q.keys(list.Filter.Partitions), ")")
	}
	if len(list.Filter.StreamTypes) > 0 {
		q.Add(" AND s.type_key IN (", q.keys(list.Filter.StreamTypes), ")")
	}
	q.Add(" ORDER BY s.partition_key, s.name_key")
	return d.sql.in(q.String()), q.Values
}

func (d *Driver) listPage(ctx context.Context, list *daybook.StreamList, limit int) (heads []daybook.StreamHead, err error) {
	if err := d.calls.Begin(); err != nil {
		return nil, err
	}
	defer d.calls.Done()
	text, values := d.listQuery(list, limit)
	err = d.retry.Do(ctx, "list", func(int) error {
		heads = heads[:0]
		rows, err := d.pool.QueryContext(ctx, text, values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h daybook.StreamHead
			var partition, name []byte
			if err := rows.Scan(&partition, &name, &h.Version, &h.Changeset, &h.First, &h.Position, &h.RecordedAt); err != nil {
				return err
			}
			h.Stream = daybook.StreamID{Partition: string(partition), Name: string(name)}
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
	err = d.retry.Do(ctx, "stats", func(int) error {
		return d.pool.QueryRowContext(ctx, d.sql.counts).Scan(&stats.Streams, &stats.Changesets, &stats.Records, &stats.LongestStream, &stats.Bytes)
	})
	if err != nil {
		return daybook.Stats{}, err
	}
	e, err := d.readEnd(ctx)
	stats.LastPosition, stats.LastOrdinal = e.Position, e.Ordinal
	return stats, err
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if err := d.calls.Begin(); err != nil {
		return daybook.StreamID{}, false, err
	}
	defer d.calls.Done()
	var name []byte
	held := true
	err := d.retry.Do(ctx, "claim", func(int) error {
		err := d.pool.QueryRowContext(ctx, d.sql.claim, claimKey(partition, claim)).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			held = false
			return nil
		}
		return err
	})
	if err != nil || !held {
		return daybook.StreamID{}, false, err
	}
	return daybook.StreamID{Partition: partition, Name: string(name)}, true, nil
}

// claimKey returns what the column claim_key of claims has.
func claimKey(partition string, claim daybook.Claim) []byte {
	key := sha256.Sum256([]byte(partition + "\x00" + claim.Kind + "\x00" + claim.Value))
	return key[:]
}
