package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/remote"
)

const wantOutput = `Ann has 17500 cents after 4 events
a withdrawal of 20000: not enough money: 17500 of 20000
1 opened     application/json     41 bytes  "{\"owner\":\"Ann\",\"currency\":\"CURRENCY_CHF\"}"
2 deposited  application/json     49 bytes  "{\"cents\":\"12050\",\"booked\":\"2026-05-04T00:00:00Z\"}"
3 deposited  application/protobuf 11 bytes  "\b\x8e>\x12\x06\b\x80\xb8\x84\xd0\x06"
4 withdrawn  application/protobuf  3 bytes  "\b\xc4\x13"
1 $snapshot  application/protobuf 11 bytes  "\n\x03Ann\x10\x02\x18܈\x01"
`

func newStore(t *testing.T) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestOutputIsAsTheProgramTells(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), newStore(t), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != wantOutput {
		t.Errorf("output:\n%swant:\n%s", out.String(), wantOutput)
	}
}

func TestMessagesPassOverHTTPByteForByte(t *testing.T) {
	server := httptest.NewServer(httpapi.New(newStore(t), nil))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	driver, err := remote.Open(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	var out strings.Builder
	if err := run(t.Context(), store, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != wantOutput {
		t.Errorf("output:\n%swant:\n%s", out.String(), wantOutput)
	}
}

// strict is the codec of a program that wants to know of fields that it does
// not have.
func strict(t *testing.T) *codec.Codec[Event] {
	t.Helper()
	c, err := codec.New[Event](codec.Event[*Opened]("opened"), codec.Event[*Deposited]("deposited"), codec.Event[*Withdrawn]("withdrawn"),
		&codec.Options{Encoding: Protobuf{}, Also: []codec.Encoding{ProtoJSON{}}, UnknownFields: codec.Fail})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFieldsOfANewerProgramArePassedOverOrToldOf(t *testing.T) {
	newer := []byte("\x18\x07") // field 3, which neither message has: 7
	inside, err := proto.Marshal(&Deposited{Cents: 5, Booked: &timestamppb.Timestamp{Seconds: 1}})
	if err != nil {
		t.Fatal(err)
	}
	inside[3] += byte(len(newer)) // the length of the message within
	for name, c := range map[string]struct {
		event daybook.Event
		want  Event
	}{
		"a field": {daybook.Event{Type: "withdrawn", ContentType: "application/protobuf", Data: append([]byte("\x08\x05"), newer...)}, &Withdrawn{Cents: 5}},
		"a field of a message within": {daybook.Event{Type: "deposited", ContentType: "application/protobuf", Data: append(inside, newer...)},
			&Deposited{Cents: 5, Booked: &timestamppb.Timestamp{Seconds: 1}}},
		"a field in JSON": {daybook.Event{Type: "withdrawn", Data: []byte(`{"cents":5,"branch":7}`)}, &Withdrawn{Cents: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			record := &daybook.Record{Event: c.event}
			got, err := events.Decode(record)
			if err != nil || len(got) != 1 || got[0].ProtoReflect().Descriptor() != c.want.ProtoReflect().Descriptor() || cents(got[0]) != 5 {
				t.Errorf("it decodes as %v, %v", got, err)
			}
			var failed *codec.DecodeError
			if got, err := strict(t).Decode(record); !errors.As(err, &failed) || failed.Reason != codec.UnknownField {
				t.Errorf("where it is to fail it decodes as %v, %v", got, err)
			}
			known := &daybook.Record{Event: daybook.Event{Type: "withdrawn", ContentType: "application/protobuf", Data: []byte("\x08\x05")}}
			if _, err := strict(t).Decode(known); err != nil {
				t.Errorf("without it the answer is %v", err)
			}
		})
	}
}

func cents(e Event) int64 { return e.(interface{ GetCents() int64 }).GetCents() }

func TestDataThatIsNoMessageIsAnError(t *testing.T) {
	for contentType, data := range map[string]string{"application/protobuf": "\x08", "application/json": `{"cents":"five"}`} {
		record := &daybook.Record{Event: daybook.Event{Type: "withdrawn", ContentType: contentType, Data: []byte(data)}}
		var failed *codec.DecodeError
		if got, err := events.Decode(record); !errors.As(err, &failed) || failed.Reason != codec.BadData {
			t.Errorf("%q decodes as %v, %v", data, got, err)
		}
	}
	plain := codec.Must(codec.New[any](codec.Event[int]("counted"), &codec.Options{Encoding: Protobuf{}}))
	if _, err := plain.Encode(7); !errors.Is(err, errNoMessage) || !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("what is no message is answered with %v", err)
	}
}

func TestAnAccountIsTestedWithoutAStore(t *testing.T) {
	// Messages are not compared by what is in their memory.
	test := daytest.Comparing(t, func(a, b any) bool { return proto.Equal(a.(proto.Message), b.(proto.Message)) })
	account := daytest.Decider[*Account, Command, Event](accounts)
	given := []Event{&Opened{Owner: "Ann"}, &Deposited{Cents: 50}}
	account.Given(test, given...).When(withdraw(30)).Then(&Withdrawn{Cents: 30}).ThenState(&Account{Owner: "Ann", Cents: 20})
	account.Given(test, given...).When(withdraw(80)).ThenError(errFunds)
}

func TestASnapshotThatIsAMessageSavesReading(t *testing.T) {
	store := newStore(t)
	if err := run(t.Context(), store, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	var told []aggregate.SnapshotNote
	read := 0
	again, err := aggregate.New(store, "account", events, accounts, &aggregate.Options[*Account, Event]{
		Snapshots: &aggregate.Snapshots[*Account, Event]{Name: "v1", Policy: aggregate.Every(100), Encoding: Protobuf{}},
		Hooks: aggregate.Hooks{
			OnSnapshot: func(note aggregate.SnapshotNote) { told = append(told, note) },
			OnExecuted: func(_ context.Context, executed aggregate.Executed) { read = executed.Records },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(t.Context())
	done, err := again.Execute(t.Context(), "ann", withdraw(500), nil)
	if err != nil || done.State.GetCents() != 17_000 || read != 0 || len(told) != 0 {
		t.Errorf("it comes to %v, %v after reading %d records; told: %+v", done.State, err, read, told)
	}
}

func TestALiveStateMayBeAMessage(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	if err := run(t.Context(), store, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	for _, records := range []int64{4, 0} { // the second starts from the snapshot of the first
		fold := livestate.NewFold("account-1", accounts.Initial, evolve, &livestate.FoldOptions[*Account]{Clone: proto.CloneOf[*Account], Encoding: Protobuf{}})
		service, err := livestate.Start(store, livestate.OfStream(daybook.Stream("account-ann")), events, []livestate.Folder[Event]{fold},
			&livestate.Options[Event]{Snapshots: livestate.Files(dir, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := service.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		state, err := service.Local()
		if err != nil || fold.Of(state).GetCents() != 17_500 || service.Progress().Records != records {
			t.Errorf("it is %v, %v after %d records, want %d", fold.Of(state), err, service.Progress().Records, records)
		}
		if err := service.Save(t.Context()); err != nil {
			t.Error(err)
		}
		service.Close()
	}
}

// fields finds the messages and fields of account.proto.
var fields = regexp.MustCompile(`(?m)^(?:message (\w+) \{|  [\w.]+ (\w+) = (\d+);)`)

func TestTheGeneratedCodeIsThatOfTheFile(t *testing.T) {
	text, err := os.ReadFile("account.proto")
	if err != nil {
		t.Fatal(err)
	}
	var written, generated []string
	message := ""
	for _, found := range fields.FindAllStringSubmatch(string(text), -1) {
		if found[1] != "" {
			message = found[1]
			continue
		}
		written = append(written, fmt.Sprint(message, " ", found[2], " ", found[3]))
	}
	messages := File_account_proto.Messages()
	for i := range messages.Len() {
		list := messages.Get(i).Fields()
		for j := range list.Len() {
			generated = append(generated, fmt.Sprint(messages.Get(i).Name(), " ", list.Get(j).Name(), " ", list.Get(j).Number()))
		}
	}
	if len(written) == 0 || !slices.Equal(written, generated) {
		t.Errorf("account.proto has\n%q\nand account.pb.go\n%q: run go generate", written, generated)
	}
}
