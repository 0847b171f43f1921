package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/daybook-go/daybook/storage/postgres"
)

// way is one of the ways to give positions so that no reader passes one that is
// still to come, reduced to what is its own: see docs/decisions/0090. {t} is
// its table.
type way struct {
	name string
	// append stores $2 events of stream $1 behind version $3.
	append string
	reader func() settled
}

// settled returns the position up to which a reader may go.
type settled func(ctx context.Context, pool *pgxpool.Pool, table string) (int64, error)

// lockOfWays is the advisory lock that the ways take.
const lockOfWays = 0x62656e63

// inserted is what all ways store; the position is what they differ in.
const inserted = `INSERT INTO {t} (position, stream, version, xid, data) SELECT %s, a_stream, behind + n, %s, repeat('x', 246) FROM generate_series(1, a_count) n;`

func ways() []way {
	scalar := func(sql string) func() settled {
		return func() settled {
			return func(ctx context.Context, pool *pgxpool.Pool, table string) (at int64, err error) {
				err = pool.QueryRow(ctx, strings.ReplaceAll(sql, "{t}", table)).Scan(&at)
				return at, err
			}
		}
	}
	const next, ofTransaction = "nextval('{t}_positions')", "pg_current_xact_id()"
	return []way{
		{
			"a turn", fmt.Sprintf("PERFORM pg_advisory_xact_lock(%d); SELECT coalesce(max(position), 0) INTO last FROM {t}; "+inserted, lockOfWays, "last + n", "NULL"),
			scalar("SELECT coalesce(max(position), 0) FROM {t}"),
		},
		{
			// The order of the log is that of transaction and position; the reader
			// passes those that a running transaction could still precede.
			"xmin of the snapshot", fmt.Sprintf(inserted, next, ofTransaction),
			scalar("SELECT coalesce((SELECT position FROM {t} WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid DESC, position DESC LIMIT 1), 0)"),
		},
		{
			// The reader waits until no append is under way, and keeps new ones out
			// while it looks.
			"locks around appends", fmt.Sprintf("PERFORM pg_advisory_xact_lock_shared(%d); "+inserted, lockOfWays, next, "NULL"),
			func() settled { return lookAlone },
		},
		{"gaps proven dead", fmt.Sprintf(inserted, next, "NULL"), func() settled { return new(gaps).settled }},
	}
}

func lookAlone(ctx context.Context, pool *pgxpool.Pool, table string) (at int64, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lockOfWays)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT coalesce(max(position), 0) FROM "+table).Scan(&at)
	})
	return at, err
}

// gaps is a reader that goes up to the first gap, and over it when all who could
// fill it have ended: who was running when the gap was seen.
type gaps struct {
	at       int64
	openedBy int64 // the gap behind at is dead when no transaction below this one runs; 0: not seen yet
}

func (g *gaps) settled(ctx context.Context, pool *pgxpool.Pool, table string) (int64, error) {
	for {
		var found []int64
		var lowest, next int64
		sql := "SELECT array(SELECT position FROM " + table + ` WHERE position > $1 ORDER BY position LIMIT 1000),
			pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint`
		if err := pool.QueryRow(ctx, sql, g.at).Scan(&found, &lowest, &next); err != nil || len(found) == 0 {
			return g.at, err
		}
		if found[0] > g.at+1 {
			if g.openedBy == 0 {
				g.openedBy = next
			}
			if lowest < g.openedBy {
				return g.at, nil
			}
			g.at = found[0] - 1
		}
		for _, position := range found {
			if position != g.at+1 {
				break
			}
			g.at, g.openedBy = position, 0
		}
	}
}

// BenchmarkPositions measures the ways beside each other: appends of one event
// and of a hundred, by one writer and by 16 on eight connections, with a reader
// that looks all the time how far it may go. Of each it tells how often the
// reader was answered for each append, and how much of what is appended while a
// transaction of somebody else is open, which has written, can be read at once;
// one of those appends is refused.
func BenchmarkPositions(b *testing.B) {
	for _, count := range []int{1, 100} {
		for _, writers := range []int{1, 16} {
			for _, w := range ways() {
				b.Run(fmt.Sprintf("%d events/%d writers/%s", count, writers, w.name), func(b *testing.B) { w.measure(b, writers, count) })
			}
		}
	}
}

func (w way) measure(b *testing.B, writers, count int) {
	// The store is there for its schema and its connections only.
	d := open(b, freshSchema(b), &postgres.Options{Connections: 10})
	pool, table := postgres.Pool(d), postgres.Schema(d)+".log"
	script := strings.ReplaceAll(`
		CREATE TABLE {t} (position bigint PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, xid xid8, data text NOT NULL, UNIQUE (stream, version));
		CREATE INDEX ON {t} (xid, position) WHERE xid IS NOT NULL;
		CREATE SEQUENCE {t}_positions;
		CREATE FUNCTION {t}_append(a_stream text, a_count int, behind bigint) RETURNS void LANGUAGE plpgsql AS $$
		DECLARE last bigint; BEGIN `+w.append+` END $$`, "{t}", table)
	if _, err := pool.Exec(b.Context(), script); err != nil {
		b.Fatal(err)
	}
	do := func(stream string, n int) error {
		_, err := pool.Exec(b.Context(), "SELECT "+table+"_append($1, $2, $3)", stream, count, n*count)
		return err
	}

	look := w.reader()
	var looks atomic.Int64
	over := make(chan struct{})
	read := make(chan error, 1)
	go func() {
		for {
			select {
			case <-over:
				read <- nil
				return
			default:
			}
			if _, err := look(b.Context(), pool, table); err != nil {
				read <- err
				return
			}
			looks.Add(1)
		}
	}()
	eachWriter(b, writers, do)
	b.StopTimer()
	close(over)
	if err := <-read; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(looks.Load())/float64(b.N), "looks/op")
	b.ReportMetric(readable(b, pool, table, look, do), "%readable")
}

// readable returns how much of what is appended beside an open transaction can
// be read while it is open.
func readable(b *testing.B, pool *pgxpool.Pool, table string, look settled, do func(stream string, n int) error) float64 {
	before, err := look(b.Context(), pool, table)
	if err != nil {
		b.Fatal(err)
	}
	other, err := pool.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.Background()) }()
	if _, err := other.Exec(b.Context(), "SELECT pg_current_xact_id()"); err != nil {
		b.Fatal(err)
	}
	const appends = 20
	for n := range appends {
		if err := do("beside", n); err != nil {
			b.Fatal(err)
		}
		if n == appends/2 && do("beside", n) == nil {
			b.Fatal("two appends behind the same version are stored")
		}
	}
	var end int64
	if err := pool.QueryRow(b.Context(), "SELECT max(position) FROM "+table).Scan(&end); err != nil {
		b.Fatal(err)
	}
	after, err := look(b.Context(), pool, table)
	if err != nil {
		b.Fatal(err)
	}
	return 100 * float64(after-before) / float64(end-before)
}
