package sns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/daybook-go/daybook"
)

// faultyTopic is a service that fails single messages of a request, which no
// emulator does.
type faultyTopic struct {
	mu      sync.Mutex
	taken   []string // bodies
	largest int      // messages in one request
	fail    func(body string) (code string, senderFault bool)
}

func (f *faultyTopic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = r.ParseForm()
	var taken, failed strings.Builder
	n := 1
	for ; r.Form.Has(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", n)); n++ {
		entry := fmt.Sprintf("PublishBatchRequestEntries.member.%d.", n)
		id, body := r.Form.Get(entry+"Id"), r.Form.Get(entry+"Message")
		if code, senderFault := f.fail(body); code != "" {
			fmt.Fprintf(&failed, "<member><Id>%s</Id><Code>%s</Code><SenderFault>%v</SenderFault></member>", id, code, senderFault)
			continue
		}
		f.taken = append(f.taken, body)
		fmt.Fprintf(&taken, "<member><Id>%s</Id><MessageId>m</MessageId></member>", id)
	}
	f.largest = max(f.largest, n-1)
	fmt.Fprintf(w, "<PublishBatchResponse><PublishBatchResult><Successful>%s</Successful><Failed>%s</Failed></PublishBatchResult></PublishBatchResponse>", &taken, &failed)
}

func (f *faultyTopic) open(t *testing.T, deadLetters string) *Channel {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	config := aws.Config{Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")}
	c, err := New(config, &Options{
		ChangesetTopic: "arn:aws:sns:eu-central-1:000000000000:c.fifo", DeadLetters: deadLetters,
		Sleep: func(ctx context.Context, _ int) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// changesets are n changesets of each of several streams, in turns.
func changesets(streams, n int) []daybook.RecordedChangeset {
	var all []daybook.RecordedChangeset
	for number := range n {
		for s := range streams {
			c := daybook.RecordedChangeset{Stream: daybook.StreamID{Name: fmt.Sprintf("s-%d", s)}}
			c.Number, c.First, c.Count = daybook.ChangesetNumber(number+1), daybook.Version(number+1), 1
			c.AppendID = daybook.NewID()
			c.Records = []daybook.Record{{Event: daybook.Event{Type: "a"}, Stream: c.Stream, Version: c.First}}
			all = append(all, c)
		}
	}
	return all
}

func TestWhatFailsForAWhileKeepsItsPlaceInItsStream(t *testing.T) {
	failures := 0
	f := &faultyTopic{fail: func(body string) (string, bool) {
		if strings.Contains(body, `"s-3","changeset_id":2,`) && failures < 5 {
			failures++
			return "InternalError", false
		}
		return "", false
	}}
	if err := f.open(t, "").Publish(t.Context(), changesets(14, 3)); err != nil {
		t.Fatal(err)
	}
	if len(f.taken) != 14*3 || failures != 5 {
		t.Errorf("%d messages were taken, %d failed, want 42 and 5", len(f.taken), failures)
	}
	if f.largest != 10 {
		t.Errorf("the largest request has %d messages, want 10", f.largest)
	}
	for s := range 14 {
		var numbers []string
		for _, body := range f.taken {
			if rest, is := strings.CutPrefix(body, fmt.Sprintf(`{"stream_id":"s-%d","changeset_id":`, s)); is {
				numbers = append(numbers, rest[:1])
			}
		}
		if !slices.Equal(numbers, []string{"1", "2", "3"}) {
			t.Errorf("stream %d came as changesets %v", s, numbers)
		}
	}
}

func TestWhatFailsAgainAndAgainEndsThePublishing(t *testing.T) {
	f := &faultyTopic{fail: func(string) (string, bool) { return "InternalError", false }}
	err := f.open(t, "").Publish(t.Context(), changesets(1, 2))
	if err == nil || !strings.Contains(err.Error(), "InternalError") || !strings.Contains(err.Error(), "8 attempts") {
		t.Errorf("the error is %v", err)
	}
	if len(f.taken) != 0 {
		t.Errorf("%v was taken", f.taken)
	}
}

func TestWhatIsRefusedForGoodNeedsADeadLetterQueue(t *testing.T) {
	f := &faultyTopic{fail: func(string) (string, bool) { return "InvalidParameter", true }}
	err := f.open(t, "").Publish(t.Context(), changesets(1, 1))
	if err == nil || !strings.Contains(err.Error(), "no dead-letter queue") {
		t.Errorf("the error is %v", err)
	}
}

func TestAChannelWithoutFIFOTopicsIsRefused(t *testing.T) {
	for _, options := range []*Options{nil, {EventTopic: "arn:aws:sns:eu-central-1:000000000000:plain"}, {ChangesetTopic: "arn:x.fifo", DeadLetters: "http://q/plain"}} {
		if _, err := New(aws.Config{}, options); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%+v: %v", options, err)
		}
	}
}
