package cosmos_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dContainer is a container. Its partition key is /PartitionId. It has two
// ranges of it ("physical partitions"), each with its own sequence of changes.
type dContainer struct {
	rid    string
	ranges []*dRange
	serial int // of the items, in the order in which they were made
}

type dRange struct {
	id         string
	sequence   int64
	partitions map[string]map[string]*dItem
}

// dItem is an item with all its versions: who reads an older state sees an older
// one.
type dItem struct {
	id, partition string
	serial        int
	versions      []dVersion
}

type dVersion struct {
	sequence int64
	at       time.Time
	body     map[string]any // nil is deleted
	size     int
}

func newContainer(rid string) *dContainer {
	c := &dContainer{rid: rid}
	for i := range 2 {
		c.ranges = append(c.ranges, &dRange{id: fmt.Sprint(i), partitions: map[string]map[string]*dItem{}})
	}
	return c
}

// rangeOf returns the range of a partition.
func (c *dContainer) rangeOf(partition string) *dRange {
	h := fnv.New32a()
	_, _ = h.Write([]byte(partition))
	return c.ranges[h.Sum32()%2]
}

// at returns the version of an item that a reader of a state sees; nil where it
// is not there.
func (i *dItem) at(sequence int64) *dVersion {
	if i == nil {
		return nil
	}
	for k := len(i.versions) - 1; k >= 0; k-- {
		if v := &i.versions[k]; v.sequence <= sequence {
			if v.body == nil {
				return nil
			}
			return v
		}
	}
	return nil
}

// state returns the state of a range that a request reads: with a session token
// at least the one that it names, without one maybe an older one, but always a
// prefix of the changes. [docs] consistency-levels, Session and Consistent prefix
func (a *answer) state(r *dRange) int64 {
	read := r.sequence
	if a.double.lagging {
		a.double.ticks++
		read = max(0, read-int64(a.double.ticks*7%5))
	}
	for token := range strings.SplitSeq(a.request.Header.Get("x-ms-session-token"), ",") {
		name, value, _ := strings.Cut(token, ":")
		parts := strings.Split(value, "#")
		if name != r.id || len(parts) < 2 {
			continue
		}
		if seen, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			read = max(read, min(seen, r.sequence))
		}
	}
	return read
}

// tell gives the session token of a state.
func (a *answer) tell(r *dRange, sequence int64) {
	a.header.Set("x-ms-session-token", fmt.Sprintf("%s:-1#%d", r.id, sequence))
}

// change is a set of writes that are carried out together or not at all.
type change struct {
	answer    *answer
	container *dContainer
	r         *dRange
	partition string
	written   map[string]*dVersion // by id
	order     []string
}

func (a *answer) begin(c *dContainer) *change {
	partition := a.partition()
	return &change{answer: a, container: c, r: c.rangeOf(partition), partition: partition, written: map[string]*dVersion{}}
}

// now returns an item as it is behind the writes so far; nil where it is not
// there.
func (c *change) now(id string) *dVersion {
	if v := c.written[id]; v != nil {
		if v.body == nil {
			return nil
		}
		return v
	}
	return c.r.partitions[c.partition][id].at(c.r.sequence)
}

func (c *change) write(id string, body map[string]any) *dVersion {
	v := &dVersion{at: time.Now()}
	if body != nil {
		c.answer.double.ticks++
		body["_etag"] = fmt.Sprintf("\"%08x-0000\"", c.answer.double.ticks)
		body["_ts"], body["_rid"], body["_self"], body["_attachments"] = float64(v.at.Unix()), "rid", "dbs/self/", "attachments/"
		raw, _ := json.Marshal(body)
		v.body, v.size = body, len(raw)
	}
	c.written[id] = v
	c.order = append(c.order, id)
	return v
}

// commit makes the writes one change of the range.
func (c *change) commit() {
	if len(c.order) > 0 {
		c.r.sequence++
	}
	items := c.r.partitions[c.partition]
	if items == nil {
		items = map[string]*dItem{}
		c.r.partitions[c.partition] = items
	}
	for id, v := range c.written {
		v.sequence = c.r.sequence
		i := items[id]
		if i == nil {
			c.container.serial++
			i = &dItem{id: id, partition: c.partition, serial: c.container.serial}
			items[id] = i
		}
		i.versions = append(i.versions, *v)
	}
	c.answer.tell(c.r, c.r.sequence)
}

// The limits of an item and of a request. [docs] concepts-limits, Per-item
// limits and Per-request limits
const (
	limitID    = 1023
	limitItem  = 2 << 20
	limitBatch = 2 << 20
	limitKey   = 2048
)

// checkItem reads an item that is to be written. [docs] concepts-limits
func (c *change) checkItem(raw []byte) (string, map[string]any, *doubleError) {
	if len(raw) > limitItem {
		return "", nil, failWith(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "an item of %d bytes", len(raw))
	}
	var body map[string]any // numbers become float64, as they are in the service
	if err := json.Unmarshal(raw, &body); err != nil {
		return "", nil, failWith(400, "BadRequest", "no JSON object: %v", err)
	}
	id, _ := body["id"].(string)
	if err := checkID(id); err != nil {
		return "", nil, err
	}
	if key, _ := body["PartitionId"].(string); key != c.partition || c.partition == "" || len(key) > limitKey {
		// [docs] transactional-batch; 400 with 1001 in [rest] http-status-codes
		return "", nil, &doubleError{status: 400, sub: "1001", code: "BadRequest", message: "the partition key of the item is not that of the header"}
	}
	return id, body, nil
}

// checkID is by [docs] concepts-limits (1,023 bytes) and [rest] documents (no
// / and \; ? and # cannot be addressed).
func checkID(id string) *doubleError {
	if id == "" || len(id) > limitID || strings.ContainsAny(id, "/\\?#") {
		return failWith(400, "BadRequest", "the id %q is none", id)
	}
	return nil
}

// do carries out one operation. [rest] documents; the conditions are those of
// [docs] database-transactions-optimistic-concurrency
func (c *change) do(verb, id string, raw []byte, ifMatch, ifNoneMatch string) (int, *dVersion, *doubleError) {
	var body map[string]any
	if verb == "Create" || verb == "Upsert" || verb == "Replace" {
		inside, parsed, err := c.checkItem(raw)
		if err != nil {
			return 0, nil, err
		}
		if id != "" && id != inside {
			return 0, nil, failWith(400, "BadRequest", "the id of the item is not that of the request")
		}
		id, body = inside, parsed
	}
	there := c.now(id)
	if there == nil && verb != "Create" && verb != "Upsert" {
		return 0, nil, failWith(404, "NotFound", "no item %q", id)
	}
	if there != nil && ifMatch != "" && ifMatch != "*" && ifMatch != there.body["_etag"] && verb != "Create" && verb != "Read" {
		return 0, nil, failWith(412, "PreconditionFailed", "the item has another ETag")
	}
	switch verb {
	case "Create":
		if there != nil { // ids are unique in a logical partition: [docs] partitioning-overview
			return 0, nil, failWith(409, "Conflict", "an item %q exists", id)
		}
		return 201, c.write(id, body), nil
	case "Upsert":
		if there != nil {
			return 200, c.write(id, body), nil
		}
		return 201, c.write(id, body), nil
	case "Replace":
		return 200, c.write(id, body), nil
	case "Patch":
		patched, err := patch(there.body, raw)
		if err != nil {
			return 0, nil, err
		}
		return 200, c.write(id, patched), nil
	case "Delete":
		return 204, c.write(id, nil), nil
	case "Read":
		if ifNoneMatch != "" && ifNoneMatch == there.body["_etag"] {
			return 304, nil, nil
		}
		return 200, there, nil
	}
	return 0, nil, failWith(http.StatusNotImplemented, "NotImplemented", "%s", verb)
}

// patch is by [docs] partial-document-update: add, set, replace, remove, incr;
// what the service sets is not patched (partial-document-update-faq), nor what
// names the item (partitioning-overview: it cannot be changed).
func patch(body map[string]any, raw []byte) (map[string]any, *doubleError) {
	var p struct {
		Condition  string
		Operations []struct {
			Op, Path string
			Value    any
		}
	}
	if err := json.Unmarshal(raw, &p); err != nil || p.Condition != "" || len(p.Operations) > 10 {
		return nil, failWith(400, "BadRequest", "the patch is not understood, or has more than 10 operations")
	}
	copied, _ := json.Marshal(body)
	var patched map[string]any
	_ = json.Unmarshal(copied, &patched)
	for _, o := range p.Operations {
		names := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
		if strings.HasPrefix(names[0], "_") || o.Path == "/id" || o.Path == "/PartitionId" {
			return nil, failWith(400, "BadRequest", "%s cannot be patched", o.Path)
		}
		holder := patched
		for _, name := range names[:len(names)-1] {
			inner, ok := holder[name].(map[string]any)
			if !ok {
				return nil, failWith(400, "BadRequest", "there is no %s", o.Path)
			}
			holder = inner
		}
		last := names[len(names)-1]
		_, there := holder[last]
		number, isNumber := holder[last].(float64)
		switch {
		case o.Op == "add", o.Op == "set", o.Op == "replace" && there:
			holder[last] = o.Value
		case o.Op == "remove" && there:
			delete(holder, last)
		case o.Op == "incr" && (isNumber || !there):
			by, _ := o.Value.(float64)
			holder[last] = number + by
		default:
			return nil, failWith(400, "BadRequest", "%s of %s", o.Op, o.Path)
		}
	}
	return patched, nil
}

// doItem carries out a request for one item.
func (a *answer) doItem(c *dContainer, id, method string) *doubleError {
	if id != "" {
		if err := checkID(id); err != nil {
			return err
		}
	}
	if a.partition() == "" {
		return failWith(400, "BadRequest", "PartitionKey value must be supplied for this operation")
	}
	verb := map[string]string{"GET": "Read", "PUT": "Replace", "DELETE": "Delete", "PATCH": "Patch"}[method]
	if id == "" {
		verb = "Create"
		if strings.EqualFold(a.request.Header.Get("x-ms-documentdb-is-upsert"), "true") {
			verb = "Upsert"
		}
	}
	ch := a.begin(c)
	if verb == "Read" {
		state := a.state(ch.r)
		a.tell(ch.r, state)
		v := ch.r.partitions[ch.partition][id].at(state)
		if v == nil {
			return &doubleError{status: 404, sub: "0", code: "NotFound", message: "no such item"}
		}
		a.charge = readCharge(v.size)
		a.header.Set("etag", v.body["_etag"].(string))
		if a.request.Header.Get("If-None-Match") == v.body["_etag"] {
			a.give(304, nil)
			return nil
		}
		a.give(200, v.body)
		return nil
	}
	status, v, err := ch.do(verb, id, a.body, a.request.Header.Get("If-Match"), "")
	a.charge = writeCharge(len(a.body))
	if err != nil {
		return err
	}
	ch.commit()
	if v != nil && v.body != nil {
		a.header.Set("etag", v.body["_etag"].(string))
	}
	if v == nil || v.body == nil || a.minimal() {
		a.give(status, nil)
		return nil
	}
	a.give(status, v.body)
	return nil
}

// minimal reports whether written items are not to be given back. [rest]
// common-cosmosdb-rest-request-headers, Prefer
func (a *answer) minimal() bool { return a.request.Header.Get("Prefer") == "return=minimal" }

// Charges are about those of [docs] request-units: 1 for reading a KB, 5 for
// writing one. They show what grows with what, and not what the service takes.
func readCharge(size int) float64  { return math.Ceil(float64(size)/1024)*0.5 + 0.5 }
func writeCharge(size int) float64 { return 5 * math.Max(1, math.Ceil(float64(size)/1024)) }

// doBatch carries out a batch: all of its operations, or none. [docs]
// transactional-batch: at most 100 operations and 2 MB; an operation that fails
// has its status, all others 424, and the answer 207.
func (a *answer) doBatch(c *dContainer) *doubleError {
	var operations []struct {
		OperationType string          `json:"operationType"`
		ID            string          `json:"id"`
		IfMatch       string          `json:"ifMatch"`
		ResourceBody  json.RawMessage `json:"resourceBody"`
	}
	switch err := json.Unmarshal(a.body, &operations); {
	case err != nil:
		return failWith(400, "BadRequest", "the batch is no list of operations: %v", err)
	case len(operations) > 100:
		return failWith(400, "BadRequest", "Batch request has more operations than what is supported.")
	case len(a.body) > limitBatch:
		return failWith(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "a batch of %d bytes", len(a.body))
	case a.partition() == "":
		return failWith(400, "BadRequest", "no partition key")
	}
	ch := a.begin(c)
	type result struct {
		StatusCode    int     `json:"statusCode"`
		RequestCharge float64 `json:"requestCharge"`
		ETag          string  `json:"eTag,omitempty"`
		ResourceBody  any     `json:"resourceBody,omitempty"`
	}
	var results []result
	a.charge = 0
	for i, o := range operations {
		status, v, err := ch.do(o.OperationType, o.ID, o.ResourceBody, o.IfMatch, "")
		if err != nil {
			results = make([]result, len(operations))
			for k := range results {
				results[k].StatusCode = http.StatusFailedDependency
			}
			results[i].StatusCode = err.status
			a.charge = max(1, a.charge)
			a.tell(ch.r, ch.r.sequence)
			a.give(http.StatusMultiStatus, results)
			return nil
		}
		r := result{StatusCode: status}
		if v != nil && v.body != nil {
			r.ETag = v.body["_etag"].(string)
			if r.RequestCharge = writeCharge(v.size); o.OperationType == "Read" {
				r.RequestCharge = readCharge(v.size)
			}
			if !a.minimal() || o.OperationType == "Read" {
				r.ResourceBody = v.body
			}
		}
		a.charge += r.RequestCharge
		results = append(results, r)
	}
	ch.commit()
	if a.double.quiet && a.minimal() {
		a.give(200, nil)
		return nil
	}
	a.give(200, results)
	return nil
}

// readFeed reads the change feed of a range: the newest version of each item
// that has changed, in the order of the changes; deletions are not in it.
// [docs] change-feed, [rest] list-documents (A-IM, If-None-Match)
func (a *answer) readFeed(c *dContainer) *doubleError {
	name := a.request.Header.Get("x-ms-documentdb-partitionkeyrangeid")
	i := slices.IndexFunc(c.ranges, func(r *dRange) bool { return r.id == name })
	if i < 0 {
		return &doubleError{status: http.StatusGone, sub: "1002", code: "Gone", message: "no such range"}
	}
	r := c.ranges[i]
	after, _ := strconv.ParseInt(strings.Trim(a.request.Header.Get("If-None-Match"), `"`), 10, 64)
	since, _ := time.Parse(time.RFC1123, a.request.Header.Get("If-Modified-Since"))
	var changed []*dItem
	for _, partition := range sortedNames(r.partitions) {
		for _, id := range sortedNames(r.partitions[partition]) {
			item := r.partitions[partition][id]
			last := item.versions[len(item.versions)-1]
			if last.body != nil && last.sequence > after && !last.at.Truncate(time.Second).Before(since) {
				changed = append(changed, item)
			}
		}
	}
	sequenceOf := func(i *dItem) int64 { return i.versions[len(i.versions)-1].sequence }
	slices.SortStableFunc(changed, func(x, y *dItem) int { return int(sequenceOf(x) - sequenceOf(y)) })
	limit, _ := strconv.Atoi(a.request.Header.Get("x-ms-max-item-count"))
	if limit <= 0 {
		limit = 100
	}
	upTo := r.sequence
	for n := limit; n < len(changed); n++ { // a page ends with a change
		if sequenceOf(changed[n]) != sequenceOf(changed[n-1]) {
			changed, upTo = changed[:n], sequenceOf(changed[n-1])
		}
	}
	a.header.Set("etag", fmt.Sprintf("%q", fmt.Sprint(upTo)))
	a.tell(r, r.sequence)
	if len(changed) == 0 {
		a.give(304, nil)
		return nil
	}
	documents := []any{}
	for _, item := range changed {
		documents = append(documents, item.versions[len(item.versions)-1].body)
	}
	a.give(200, map[string]any{"_rid": c.rid, "Documents": documents, "_count": len(documents)})
	return nil
}
