package cosmos

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/daybook-go/daybook"
)

// placing asks for the commits of a partition to be put into the log, up to
// where its head was.
type placing struct {
	partition string
	upTo      headBody
	commits   []commit // the last ones, as far as they are known
	reused    bool     // the id of an append is known in the log already
}

// commit is one batch in a partition other than the default one.
type commit struct {
	Place, Turn, Count, Turns int64
	Appends                   []daybook.ID
}

// complete reports whether a plan that was carried out has all of the commits.
func (w *placing) complete(p *plan) bool {
	placed := p.placed[w.partition]
	return placed == nil || placed.Places >= w.upTo.Places
}

// addPlacing puts commits of another partition into the log.
func (p *plan) addPlacing(ctx context.Context, j *job) (bool, error) {
	w := j.placing
	before, err := p.placedOf(ctx, w.partition)
	if err != nil {
		return false, err
	}
	if before.Places >= w.upTo.Places {
		if p.placed[w.partition] == nil && p.state.head.Log.Hold == nil {
			j.finish()
			return true, nil
		}
		p.touched = true // it ends the hold, if it is for nothing else
		p.jobs = append(p.jobs, j)
		return true, nil
	}
	commits := w.commits
	if len(commits) == 0 || commits[0].Place != before.Places+1 {
		if commits, err = p.queue.driver.commitsOf(ctx, w.partition, before.Places, w.upTo.Places); err != nil {
			return false, err
		}
	}
	after := *before
	for _, c := range commits {
		need := 2 + len(c.Appends)
		if w.reused {
			need = 2
		}
		if p.size()+need > maxOperations {
			break
		}
		p.place(j, c)
		after.Places, after.Turns = after.Places+c.Count, after.Turns+c.Turns
	}
	if after.Places == before.Places {
		if p.isEmpty() {
			return false, fmt.Errorf("cosmos: partition %q: nothing stands behind place %d, though its head says that %d do", w.partition, before.Places, w.upTo.Places)
		}
		return false, nil
	}
	if after.Places >= w.upTo.Places {
		p.log.Streams += w.upTo.Streams - after.Streams
		p.log.Longest = max(p.log.Longest, w.upTo.Longest)
		after.Streams, after.Longest = w.upTo.Streams, w.upTo.Longest
	}
	p.placed[w.partition] = &after
	p.jobs = append(p.jobs, j)
	return true, nil
}

// place puts a commit behind the log.
func (p *plan) place(j *job, c commit) {
	entry := entryBody{
		Item: "entry", Of: j.placing.partition, Place: c.Place, Turn: c.Turn, Count: c.Count, Turns: c.Turns,
		Position: p.log.Position + daybook.Position(c.Count), Ordinal: p.log.Ordinal + 1, RecordedAt: p.at,
	}
	p.log.Position, p.log.Ordinal = entry.Position, p.log.Ordinal+daybook.Ordinal(c.Turns)
	p.entries = append(p.entries, entry)
	id := entryID(entry.Of, entry.Place)
	p.others = append(p.others, part{operation: operation{verb: "create", id: id, body: itemOf(id, "", entry)}, kind: partOther})
	if j.placing.reused {
		return
	}
	for _, a := range c.Appends {
		stub := appendBody{Item: "append", Partition: j.placing.partition}
		p.others = append(p.others, part{
			operation: operation{verb: "create", id: appendID(a), body: itemOf(appendID(a), "", stub)}, kind: partStub, job: j,
		})
	}
}

// placedOf returns how much of a partition is in the log, behind the plan.
func (p *plan) placedOf(ctx context.Context, partition string) (*placedBody, error) {
	if placed := p.placed[partition]; placed != nil {
		return placed, nil
	}
	if placed := p.state.placed[partition]; placed != nil {
		return placed, nil
	}
	var there item[placedBody]
	found, err := p.queue.driver.read(ctx, "", placedID(partition), &there)
	if err != nil {
		return nil, err
	}
	placed := there.Daybook
	if !found {
		placed = placedBody{Item: "partition", Of: partition, Sort: sortKey(partition)}
	}
	p.state.placed[partition] = &placed
	return &placed, nil
}

// commitsOf reads the commits of a partition between two places.
func (d *Driver) commitsOf(ctx context.Context, partition string, after, upTo int64) (commits []commit, err error) {
	q := question{
		partition: partition, page: 1000, values: map[string]any{"@after": after, "@upTo": upTo},
		text: "SELECT c.Daybook.Commit, c.Daybook.Turn, c.Daybook.Append FROM c " +
			"WHERE c.Daybook.Item = 'event' AND c.Daybook.Place > @after AND c.Daybook.Place <= @upTo ORDER BY c.Daybook.Place",
	}
	const most = 64 // as many as can go into a batch
	err = d.query(ctx, q, func(raw []byte) (bool, error) {
		var e struct {
			Commit, Turn int64
			Append       daybook.ID
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return false, err
		}
		last := len(commits) - 1
		if last < 0 || commits[last].Place != e.Commit {
			if len(commits) == most {
				return false, nil
			}
			commits, last = append(commits, commit{Place: e.Commit, Turn: e.Turn}), last+1
		}
		c := &commits[last]
		c.Count, c.Turns = c.Count+1, e.Turn-c.Turn+1
		if n := len(c.Appends); n == 0 || c.Appends[n-1] != e.Append {
			c.Appends = append(c.Appends, e.Append)
		}
		return true, nil
	})
	return commits, err
}

// placeAll puts everything that a partition has into the log: what a program
// has stored that died before it could.
func (d *Driver) placeAll(ctx context.Context, partition string) error {
	var head item[headBody]
	found, err := d.readFresh(ctx, partition, headID, &head)
	if err != nil || !found {
		return err
	}
	return d.queue("").do(ctx, &job{placing: &placing{partition: partition, upTo: head.Daybook}})
}
