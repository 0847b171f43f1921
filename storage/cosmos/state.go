package cosmos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/daybook-go/daybook"
)

// state is where a partition ends, as far as it was asked for. All of it is
// right as long as the head has the ETag.
type state struct {
	etag    azcore.ETag // of the head; "" where there is none yet
	head    headBody
	streams map[string]*streamBody    // nil is a stream that never was
	claims  map[daybook.Claim]*string // who holds it; nil is nobody
	placed  map[string]*placedBody    // of the default partition: how much of others is in the log
	taken   map[string]bool           // streams whose GUID is that of another stream
}

// mostRemembered is how many streams and claims a state remembers.
const mostRemembered = 20_000

// load returns the state of the partition, which others may have changed since.
func (q *queue) load(ctx context.Context) (*state, error) {
	if q.state != nil && len(q.state.streams)+len(q.state.claims)+len(q.state.placed) < mostRemembered {
		return q.state, nil
	}
	var head item[headBody]
	if _, err := q.driver.readFresh(ctx, q.partition, headID, &head); err != nil {
		return nil, err
	}
	st := &state{
		etag: head.ETag, head: head.Daybook,
		streams: map[string]*streamBody{}, claims: map[daybook.Claim]*string{}, placed: map[string]*placedBody{}, taken: map[string]bool{},
	}
	st.head.Item, st.head.Partition = "head", q.partition
	if q.partition == "" && st.head.Log == nil {
		st.head.Log = &logBody{}
	}
	q.state = st
	return st, nil
}

// isCurrent reports whether nobody else has changed the partition since its
// state was read.
func (q *queue) isCurrent(ctx context.Context) (bool, error) {
	var head item[headBody]
	_, err := q.driver.readFresh(ctx, q.partition, headID, &head)
	return err == nil && q.state != nil && head.ETag == q.state.etag, err
}

// fetch reads what the state does not know of streams and claims.
func (q *queue) fetch(ctx context.Context, st *state, streams []string, claims []daybook.Claim) error {
	names, wanted := map[string]string{}, map[string]daybook.Claim{}
	var ids []string
	for _, name := range streams {
		if _, known := st.streams[name]; !known && names[streamID(name)] == "" {
			names[streamID(name)] = name
			ids = append(ids, streamID(name))
		}
	}
	for _, claim := range claims {
		if _, known := st.claims[claim]; !known {
			if _, twice := wanted[claimID(claim)]; !twice {
				wanted[claimID(claim)] = claim
				ids = append(ids, claimID(claim))
			}
		}
	}
	found := map[string]json.RawMessage{}
	err := q.driver.readMany(ctx, q.partition, ids, func(id string, raw json.RawMessage) error {
		found[id] = raw
		return nil
	})
	if err != nil {
		return err
	}
	for id, name := range names {
		body, err := bodyOf[streamBody](found[id])
		if err != nil {
			return err
		}
		st.streams[name] = body
	}
	for id, claim := range wanted {
		body, err := bodyOf[claimBody](found[id])
		if err != nil {
			return err
		}
		st.claims[claim] = nil
		if body != nil && body.Holder != "" {
			st.claims[claim] = &body.Holder
		}
	}
	return nil
}

// bodyOf returns the body of an item; nil of none.
func bodyOf[T any](raw json.RawMessage) (*T, error) {
	if raw == nil {
		return nil, nil
	}
	var i item[T]
	if err := json.Unmarshal(raw, &i); err != nil {
		return nil, err
	}
	return &i.Daybook, nil
}

// mostIDs is how many items one query asks for by their ids.
const mostIDs = 128

// readMany reads those of some items that are there: one by a read, several by
// a query.
func (d *Driver) readMany(ctx context.Context, partition string, ids []string, look func(id string, raw json.RawMessage) error) error {
	if len(ids) == 1 {
		var raw json.RawMessage
		found, err := d.read(ctx, partition, ids[0], &raw)
		if err != nil || !found {
			return err
		}
		return look(ids[0], raw)
	}
	for len(ids) > 0 {
		n := min(len(ids), mostIDs)
		q := question{partition: partition, values: map[string]any{}, page: mostIDs}
		var names []string
		for i, id := range ids[:n] {
			name := fmt.Sprintf("@id%d", i)
			names, q.values[name] = append(names, name), id
		}
		q.text = "SELECT * FROM c WHERE c.id IN (" + strings.Join(names, ", ") + ")"
		err := d.query(ctx, q, func(raw []byte) (bool, error) {
			var named struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(raw, &named); err != nil {
				return false, err
			}
			return true, look(named.ID, raw)
		})
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}
