package cosmos

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/daybook-go/daybook"
)

// bell wakes those who wait for the log to grow. While somebody waits, one
// goroutine follows the change feed of the container, which tells of commits in
// every partition; behind it, more seldom, it looks at the end of the log
// itself.
type bell struct {
	driver *Driver

	mu      sync.Mutex // guards all below
	end     daybook.Position
	waiting int
	rung    chan struct{} // closed when end has grown
	running bool
}

// ring tells that the log has come to a position.
func (b *bell) ring(end daybook.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if end <= b.end {
		return
	}
	b.end = end
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// Wait implements daybook.Waiter. What other processes append is seen within
// Options.Poll.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	b := &d.bell
	b.mu.Lock()
	known := b.end
	b.mu.Unlock()
	if known > after {
		return nil
	}
	log, err := d.logEnd(ctx)
	if err != nil {
		return err
	}
	b.ring(log.Position)
	for {
		b.mu.Lock()
		if b.end > after {
			b.mu.Unlock()
			return nil
		}
		if b.rung == nil {
			b.rung = make(chan struct{})
		}
		rung := b.rung
		b.waiting++
		if !b.running {
			b.running = true
			d.calls.Add(1)
			go b.follow(d.life)
		}
		b.mu.Unlock()
		select {
		case <-rung:
		case <-ctx.Done():
			err = ctx.Err()
		case <-d.closed:
			err = daybook.ErrClosed
		}
		b.mu.Lock()
		b.waiting--
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// looksPerFeed is how often the change feed is asked for every look at the end
// of the log itself.
const looksPerFeed = 4

// follow looks until nobody waits any more.
func (b *bell) follow(ctx context.Context) {
	d := b.driver
	defer d.calls.Done()
	feed := &feed{driver: d, seen: map[string]int64{}}
	timer := time.NewTicker(d.options.Poll)
	defer timer.Stop()
	for n := 0; ; n++ {
		grown := feed.look(ctx)
		if grown || n%looksPerFeed == 0 {
			if log, err := d.logEnd(ctx); err == nil {
				b.ring(log.Position)
			}
		}
		select {
		case <-d.closed:
		case <-timer.C:
		}
		b.mu.Lock()
		over := b.waiting == 0
		select {
		case <-d.closed:
			over = true
		default:
		}
		if over {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
	}
}

// feed follows the change feed of the container, range by range.
type feed struct {
	driver *Driver
	ranges []feedRange
	seen   map[string]int64 // how many records partitions were seen to have that are not in the log
	failed bool
}

type feedRange struct {
	azcosmos.FeedRange
	next *string // continues behind what was read
}

// lookBack is how far in front of its beginning the feed is read: to find what
// a program has stored, and not put into the log, before it died.
const lookBack = 5 * time.Minute

// look reads what has changed since the last look. It reports whether the log
// may have grown: that it cannot tell counts as that.
func (f *feed) look(ctx context.Context) (grown bool) {
	d := f.driver
	if f.failed {
		return true
	}
	if f.ranges == nil {
		ranges, err := d.container.ReadFeedRanges(ctx, nil)
		if err != nil {
			f.fail(err)
			return true
		}
		for _, r := range ranges {
			f.ranges = append(f.ranges, feedRange{FeedRange: r})
		}
	}
	late := f.seen // those that were not in the log at the last look
	f.seen = map[string]int64{}
	for i := range f.ranges {
		changed, err := f.lookAt(ctx, &f.ranges[i])
		if err != nil {
			f.fail(err)
			return true
		}
		grown = grown || changed
	}
	for partition, places := range late {
		if f.repair(ctx, partition, places) {
			grown = true
		}
	}
	return grown
}

// fail stops following: the look at the end of the log does without.
func (f *feed) fail(err error) {
	f.failed = true
	f.driver.options.Logger.Info("the change feed cannot be read, looking at the end of the log instead", "error", brief(err))
}

// lookAt reads what has changed in a range.
func (f *feed) lookAt(ctx context.Context, r *feedRange) (grown bool, err error) {
	start := time.Now().Add(-lookBack)
	for {
		options := &azcosmos.ChangeFeedOptions{MaxItemCount: largestPage, FeedRange: &r.FeedRange, Continuation: r.next}
		if r.next == nil {
			options.StartFrom = &start
		}
		var page azcosmos.ChangeFeedResponse
		err := f.driver.again(ctx, "feed", false, func() (err error) {
			page, err = f.driver.container.ReadChangeFeed(ctx, options)
			return err
		})
		if err != nil {
			return false, err
		}
		if page.ContinuationToken != "" {
			r.next = &page.ContinuationToken
		}
		for _, raw := range page.Items {
			var head item[headBody]
			if json.Unmarshal(raw, &head) != nil || head.ID != headID {
				continue
			}
			if head.Daybook.Log != nil {
				grown = true
			} else {
				f.seen[head.Daybook.Partition] = head.Daybook.Places
			}
		}
		if len(page.Items) == 0 || r.next == nil {
			return grown, nil
		}
	}
}

// repair puts what a partition had at the last look into the log, if nobody has
// done so meanwhile. It reports whether it did.
func (f *feed) repair(ctx context.Context, partition string, places int64) bool {
	var placed item[placedBody]
	_, err := f.driver.read(ctx, "", placedID(partition), &placed)
	if err != nil || placed.Daybook.Places >= places {
		return false
	}
	f.driver.options.Logger.Warn("putting commits into the log that were left behind", "partition", partition)
	return f.driver.placeAll(ctx, partition) == nil
}
