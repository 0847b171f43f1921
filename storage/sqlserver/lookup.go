package sqlserver

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"iter"
	"time"

	"github.com/daybook-go/daybook"
)

// end is where the log ends.
type end struct {
	position   daybook.Position
	ordinal    daybook.Ordinal
	recordedAt time.Time
}

func (d *Driver) readEnd(ctx context.Context) (e end, err error) {
	err = d.again(ctx, "end", func(int) error {
		return d.pool.QueryRowContext(ctx, d.sql.end).Scan(&e.position, &e.ordinal, &e.recordedAt)
	})
	return e, err
}

// End implements daybook.EndReader.
func (d *Driver) End(ctx context.Context) (daybook.Position, error) {
	if err := d.begin(); err != nil {
		return 0, err
	}
	defer d.calls.Done()
	e, err := d.readEnd(ctx)
	return e.position, err
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if err := d.begin(); err != nil {
		return daybook.Head{}, err
	}
	defer d.calls.Done()
	return d.readHead(ctx, id)
}

func (d *Driver) readHead(ctx context.Context, id daybook.StreamID) (h daybook.Head, err error) {
	err = d.again(ctx, "head", func(int) error {
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

// listPage is how many streams, or deletions, are read at once.
const listPage = 1000

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		for {
			limit := listPage
			if list.Limit > 0 {
				limit = min(limit, list.Limit)
			}
			heads, err := d.listPage(ctx, &list, limit)
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			for _, head := range heads {
				if err := ctx.Err(); err != nil {
					yield(daybook.StreamHead{}, err)
					return
				}
				if !yield(head, nil) {
					return
				}
				list.After = head.Stream
			}
			if list.Limit > 0 {
				if list.Limit -= len(heads); list.Limit == 0 {
					return
				}
			}
			if len(heads) < limit {
				return
			}
		}
	}
}

// listQuery returns the query for so many streams.
func (d *Driver) listQuery(list *daybook.StreamList, limit int) (string, []any) {
	var q sqlText
	q.add("SELECT TOP (", q.value(limit), ") s.partition_key, s.name_key, h.version, h.changeset, h.[first], h.position, h.recorded_at")
	q.add(" FROM {schema}.streams s CROSS APPLY {schema}.head(s.id) h WHERE h.[first] <= h.version")
	partition, name := q.key(list.After.Partition), q.key(list.After.Name)
	q.add(" AND s.partition_key >= ", partition, " AND (s.partition_key > ", partition, " OR s.name_key > ", name, ")")
	if len(list.Filter.Partitions) > 0 {
		q.add(" AND s.partition_key IN (", q.keys(list.Filter.Partitions), ")")
	}
	if len(list.Filter.StreamTypes) > 0 {
		q.add(" AND s.type_key IN (", q.keys(list.Filter.StreamTypes), ")")
	}
	q.add(" ORDER BY s.partition_key, s.name_key")
	return d.sql.in(q.text.String()), q.values
}

func (d *Driver) listPage(ctx context.Context, list *daybook.StreamList, limit int) (heads []daybook.StreamHead, err error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	defer d.calls.Done()
	text, values := d.listQuery(list, limit)
	err = d.again(ctx, "list", func(int) error {
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
	if err := d.begin(); err != nil {
		return daybook.Stats{}, err
	}
	defer d.calls.Done()
	err = d.again(ctx, "stats", func(int) error {
		return d.pool.QueryRowContext(ctx, d.sql.counts).Scan(&stats.Streams, &stats.Changesets, &stats.Records, &stats.LongestStream, &stats.Bytes)
	})
	if err != nil {
		return daybook.Stats{}, err
	}
	e, err := d.readEnd(ctx)
	stats.LastPosition, stats.LastOrdinal = e.position, e.ordinal
	return stats, err
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if err := d.begin(); err != nil {
		return daybook.StreamID{}, false, err
	}
	defer d.calls.Done()
	var name []byte
	held := true
	err := d.again(ctx, "claim", func(int) error {
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
