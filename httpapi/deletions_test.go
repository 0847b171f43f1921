package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
)

// remove deletes from a stream.
func (s *server) remove(path string, header ...string) *reply {
	s.t.Helper()
	return s.do("DELETE", path, "", header...)
}

func TestADeletionIsAnsweredWithItsReceiptAndHidesAtOnce(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	s.post("/streams/other", `{"events":[1]}`).must(200)
	r := s.remove("/streams/abcd?through=5&expect=version:6&who=ann&why=request%2042&deletion_id=one").must(200).object()
	for member, want := range map[string]string{"stream_id": "abcd", "through": "3", "records": "3", "changesets": "1", "number": "1", "scrubbed": "false", "repeated": "false"} {
		if fmt.Sprint(r[member]) != want {
			t.Errorf("%s is %v, want %v", member, r[member], want)
		}
	}
	if id := daybook.IDOf("one").String(); r["deletion_id"] != id {
		t.Errorf("the id is %v, want %s", r["deletion_id"], id)
	}
	head := s.get("/streams/abcd").must(200).object()
	if fmt.Sprint(head["first_version"]) != "4" {
		t.Errorf("the head is %v", head)
	}
	if got := s.get("/records").positions(); len(got) != 4 || got[0] != 4 {
		t.Errorf("the positions are %v, want those from 4 up", got)
	}
	s.remove("/streams/nobody").must(200)
}

func TestARepeatedDeletionIsMarkedAndAnotherWithItsIDRefused(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	first := s.remove("/streams/abcd", "Idempotency-Key", "one").must(200)
	s.post("/streams/abcd", `{"events":[7]}`).must(200)
	again := s.remove("/streams/abcd?deletion_id=one").must(200)
	if again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("the repeat is not marked: %v", again.header)
	}
	if want := strings.Replace(string(first.body), `"repeated":false`, `"repeated":true`, 1); string(again.body) != want {
		t.Errorf("the repeat is answered with %s, want %s", again.body, want)
	}
	s.get("/streams/abcd").must(200)
	s.remove("/streams/abcd?through=1", "Idempotency-Key", "one").fails(422, "DELETION_ID_REUSED", daybook.IDOf("one").String())
	s.remove("/streams/abcd?deletion_id=two", "Idempotency-Key", "one").fails(400, "INVALID_INPUT", "deletion_id")
}

func TestADeletionThatIsRefusedLeavesTheStream(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	for _, query := range []string{"expect=none", "expect=version:3", "expect=changeset:1"} {
		s.remove("/streams/abcd?"+query).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
	}
	for query, piece := range map[string]string{
		"expect=version": "expect", "expect=three": "expect", "through=-1": "through", "scrub=perhaps": "scrub", "all=true": "all", "through=1&through=2": "through",
	} {
		s.remove("/streams/abcd?"+query).fails(400, "INVALID_INPUT", piece)
	}
	s.remove("/streams/abcd?who="+strings.Repeat("a", 5000)).fails(413, "LIMIT_EXCEEDED", "who")
	s.remove("/streams/").fails(400, "MISSING_STREAM_ID")
	s.remove("/streams/abcd", "Sec-Fetch-Site", "cross-site").fails(403, "CROSS_ORIGIN")
	if got := s.get("/streams/abcd/records").positions(); len(got) != 6 {
		t.Errorf("%d records are left of 6", len(got))
	}
	s.get("/deletions").is(200, `{"deletions":[],"next_after":0}`)
}

func TestDeletionsAreListedInPieces(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	for _, path := range []string{"/streams/abcd?through=3&who=ann", "/streams/b?why=none", "/streams/abcd?scrub=true"} {
		s.remove(path).must(200)
	}
	count := func(query string) int {
		t.Helper()
		return len(s.get("/deletions?" + query).must(200).object()["deletions"].([]any))
	}
	for query, want := range map[string]int{"": 3, "after=1": 2, "limit=2": 2, "after=2&limit=5": 1, "stream_id=abcd": 2, "stream_id=abcd&partition=p": 0, "after=3": 0} {
		if got := count(query); got != want {
			t.Errorf("%q gives %d deletions, want %d", query, got, want)
		}
	}
	page := s.get("/deletions?limit=2").object()
	if next := fmt.Sprint(page["next_after"]); next != "2" {
		t.Errorf("the next page begins behind %s, want 2", next)
	}
	lines := strings.Split(strings.TrimSpace(string(s.get("/deletions?format=ndjson").must(200).body)), "\n")
	if len(lines) != 3 || !strings.Contains(lines[2], `"scrub":true`) || !strings.Contains(lines[0], `"who":"ann"`) {
		t.Errorf("the lines are %q", lines)
	}
	for query, piece := range map[string]string{"after=-1": "after", "limit=x": "limit", "partition=p": "stream_id"} {
		s.get("/deletions?"+query).fails(400, "INVALID_INPUT", piece)
	}
	s.get("/deletions?stream_id="+strings.Repeat("a", 2000)).fails(413, "LIMIT_EXCEEDED", "stream_id")
	s.get("/deletions", "Accept", "text/html").fails(406, "NOT_ACCEPTABLE")
}

func TestADeletedStreamIsNotFoundAndGoesOn(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	s.remove("/streams/abcd").must(200)
	told := s.get("/streams/abcd").fails(404, "STREAM_NOT_FOUND").object()
	if head, ok := told["head"].(map[string]any); !ok || fmt.Sprint(head["version"]) != "6" {
		t.Errorf("the error does not tell where the stream ended: %v", told)
	}
	for _, path := range []string{"/streams/abcd/records", "/streams/abcd/events", "/streams/abcd/changesets"} {
		s.get(path).fails(404, "STREAM_NOT_FOUND")
	}
	s.do("HEAD", "/streams/abcd", "").must(404)
	s.post("/streams/abcd", `{"events":[7]}`).is(200, `{"stream_id":"abcd","changeset_id":3}`)
	s.get("/streams/abcd/events").is(200, `{"stream_id":"abcd","events":[{"id":7,"data":7}]}`)
	s.get("/streams/abcd/changesets?from=1").is(200, `{"stream_id":"abcd","changesets":[{"changeset_id":3,"events":[7],"metadata":{}}]}`)
}

// checkpoints returns the checkpoints of the changesets of the log.
func (s *server) checkpoints(query string) string {
	s.t.Helper()
	var all []string
	for _, c := range s.global(query).Changesets {
		all = append(all, fmt.Sprint(c.Checkpoint))
	}
	return strings.Join(all, " ")
}

func TestCheckpointsHaveGapsWhereChangesetsWereDeleted(t *testing.T) {
	s := serve(t, nil)
	for _, name := range []string{"a", "b", "c", "b", "d"} {
		s.post("/appends", `{"changesets":[{"stream_id":"`+name+`","events":[{"type":"x"}]}]}`).must(200)
	}
	s.remove("/streams/b").must(200)
	s.remove("/streams/d").must(200)
	for query, want := range map[string]string{"": "0 2", "checkpoint=1": "2", "checkpoint=2": "2", "checkpoint=3": "", "checkpoint=0&limit=1": "0"} {
		if got := s.checkpoints("?" + query); got != want {
			t.Errorf("%q gives the checkpoints %q, want %q", query, got, want)
		}
	}
	s.post("/streams/e", `{"events":[1]}`).must(200)
	if got := s.checkpoints("?checkpoint=3"); got != "5" {
		t.Errorf("what comes behind a deletion has the checkpoints %q, want 5", got)
	}
	stats := s.get("/streams").object()
	if total := fmt.Sprint(stats["total_changesets"]); total != "3" {
		t.Errorf("the statistics are %v", stats)
	}
}

func TestAConflictTellsWhatIsLeftOfWhatWasMissed(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	s.remove("/streams/abcd?through=3").must(200)
	r := s.post("/streams/abcd", `{"events":[9]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION").object()
	if missed := r["forthcoming_changesets"].([]any); len(missed) != 1 {
		t.Errorf("%d changesets were missed, want the one that is left", len(missed))
	}
	native := s.post("/appends", `{"changesets":[{"stream_id":"abcd","expect":"none","events":[{"type":"x"}]}]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION").object()
	if native["incomplete"] != true || len(native["missed"].([]any)) != 3 {
		t.Errorf("the conflict is %v", native)
	}
	s.remove("/streams/abcd").must(200)
	s.post("/streams/abcd?expected_last_changeset=1", `{"events":[9]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
	s.post("/streams/abcd?expected_last_changeset=3", `{"events":[9]}`).fails(400, "INVALID_EXPECTED_CHANGESET_ID")
	s.post("/streams/abcd?expected_last_changeset=2", `{"events":[9]}`).is(200, `{"stream_id":"abcd","changeset_id":3}`)
}
