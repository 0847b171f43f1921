package httpapi_test

import (
	"testing"
)

// The walk-through of the Elastic Event Store's README, with the numbers that
// it would have shown were its enumeration not broken.
func TestTheWalkThroughOfTheElasticEventStore(t *testing.T) {
	s := serve(t, nil)
	first, second := "99038933-e620-444d-9033-4128254f0cbd", "206bc1ed-8e67-4a64-a596-8b32c0c20a97"
	s.post("/streams/"+first, `{
		"metadata": {"timestamp": "123123", "command_id": "456346234", "issued_by": "test@test.com"},
		"events": [{"type": "init", "foo": "bar"}, {"type": "update", "foo": "baz"}, {"type": "switch", "field": "foo"}]
	}`).is(200, `{"stream_id":"`+first+`","changeset_id":1}`)
	s.post("/streams/"+second, `{"events": [{"a": 1}, {"a": 2}, {"a": 3}], "metadata": {"m": 2}}`).
		is(200, `{"stream_id":"`+second+`","changeset_id":1}`)
	s.post("/streams/"+first+"?expected_last_changeset=1", `{"events": [{"b": 4}, {"b": 5}, {"b": 6}]}`).
		is(200, `{"stream_id":"`+first+`","changeset_id":2}`)

	one := `{"type":"init","foo":"bar"},{"type":"update","foo":"baz"},{"type":"switch","field":"foo"}`
	meta := `{"timestamp":"123123","command_id":"456346234","issued_by":"test@test.com"}`
	s.get("/streams/"+first+"/changesets").is(200, `{"stream_id":"`+first+`","changesets":[
		{"changeset_id":1,"events":[`+one+`],"metadata":`+meta+`},
		{"changeset_id":2,"events":[{"b":4},{"b":5},{"b":6}],"metadata":{}}]}`)
	s.get("/streams/"+first+"/events?from=3&to=4").is(200, `{"stream_id":"`+first+`","events":[
		{"id":3,"data":{"type":"switch","field":"foo"}},{"id":4,"data":{"b":4}}]}`)
	s.get("/streams").is(200, `{"total_streams":2,"total_changesets":3,"total_events":9,"max_stream_length":2,"statistics_version":3}`)
	s.get("/changesets").is(200, `{"checkpoint":0,"limit":10,"changesets":[
		{"stream_id":"`+first+`","changeset_id":1,"events":[`+one+`],"metadata":`+meta+`,"checkpoint":0},
		{"stream_id":"`+second+`","changeset_id":1,"events":[{"a":1},{"a":2},{"a":3}],"metadata":{"m":2},"checkpoint":1},
		{"stream_id":"`+first+`","changeset_id":2,"events":[{"b":4},{"b":5},{"b":6}],"metadata":{},"checkpoint":2}],"next_checkpoint":3}`)
}
