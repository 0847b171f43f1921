package httpapi_test

import (
	"testing"
	"time"

	"github.com/daybook-go/daybook/httpapi"
)

func TestWholeRepliesOfferNoLiveStreams(t *testing.T) {
	s := serve(t, &httpapi.Options{WholeReplies: true})
	s.twoChangesets()
	for _, path := range []string{"/records", "/streams/abcd/records"} {
		s.get(path+"?format=sse").fails(400, "INVALID_INPUT", "json, ndjson")
		s.get(path, "Accept", "text/event-stream").fails(406, "NOT_ACCEPTABLE", "application/x-ndjson")
		s.get(path, "Accept", "text/event-stream, application/json;q=0.5").must(200)
		s.get(path + "?format=ndjson").must(200)
	}
}

func TestAWaitIsNoLongerThanTheServerAllows(t *testing.T) {
	s := serve(t, &httpapi.Options{MaxWait: time.Millisecond})
	s.twoChangesets()
	s.get("/position?after=6&wait=30s").is(200, `{"position":6}`)
}
