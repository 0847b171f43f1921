package sns

import (
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func TestTheGroupOfAStreamIsTheOneOfTheElasticEventStore(t *testing.T) {
	for name, want := range map[string]string{
		"99038933-e620-444d-9033-4128254f0cbd": "8ebf57ca0228236805c448931bc9f2d8def48fff0380a57d13701091",
		"206bc1ed-8e67-4a64-a596-8b32c0c20a97": "4520eff932295c3ca621d2a8fb018a7a82ddfde0fc86ae8538ea8524",
	} {
		if got := GroupID(daybook.StreamID{Name: name}); got != want {
			t.Errorf("the group of %s is %s, want %s", name, got, want)
		}
	}
	if GroupID(daybook.StreamID{Partition: "a", Name: "b"}) == GroupID(daybook.StreamID{Name: "b"}) {
		t.Error("streams of two partitions have one group")
	}
}

func TestMessagesHaveTheShapesOfTheElasticEventStore(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	a := daybook.Append{Changesets: []daybook.Changeset{
		{Stream: daybook.StreamID{Name: "account-1"}, Metadata: []byte(`{"by": "test"}`), Events: []daybook.Event{
			{Type: "a", Data: []byte(`{"n": 12.50}`)}, {Type: "b", Data: []byte("two\nlines"), ContentType: "text/plain"},
		}},
		{Stream: daybook.StreamID{Partition: "p", Name: "x"}, Events: []daybook.Event{{Type: "c", Data: []byte{0xff, 0}, ContentType: "application/octet-stream"}, {Type: "d"}}},
	}}
	if _, err := store.AppendAll(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	var got []string
	repetitions := map[string]bool{}
	for c, err := range daybook.Changesets(store.ReadLog(t.Context(), daybook.LogRead{})) {
		if err != nil {
			t.Fatal(err)
		}
		m := changesetMessage(&c)
		got = append(got, m.body)
		for i := range c.Records {
			m := eventMessage(&c, &c.Records[i])
			got = append(got, m.body)
			repetitions[m.repetition()] = true
			if len(m.repetition()) > 128 {
				t.Errorf("the deduplication id %q is longer than the service takes", m.repetition())
			}
		}
	}
	want := []string{
		`{"stream_id":"account-1","changeset_id":1,"events":[{"n":12.50},"two\nlines"],"metadata":{"by":"test"}}`,
		`{"stream_id":"account-1","changeset_id":1,"event_id":1,"data":{"n":12.50}}`,
		`{"stream_id":"account-1","changeset_id":1,"event_id":2,"data":"two\nlines"}`,
		`{"stream_id":"x","partition":"p","changeset_id":1,"events":["/wA=",null],"metadata":{}}`,
		`{"stream_id":"x","partition":"p","changeset_id":1,"event_id":1,"data":"/wA="}`,
		`{"stream_id":"x","partition":"p","changeset_id":1,"event_id":2,"data":null}`,
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("message %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	if len(repetitions) != 4 {
		t.Errorf("four events have %d deduplication ids", len(repetitions))
	}
}
