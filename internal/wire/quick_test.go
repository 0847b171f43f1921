package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

var bodies = []string{
	`{"changesets":[{"stream_id":"a","events":[{"type":"x","data":{"n":[1,-0.5e+3,true,null,"\ud83d\ude00"]},"tags":["a","b"]}]}]}`,
	` {"append_id":"k","durability":"disk","condition":{"query":{"items":[{"types":["x"],"tags":[]}]},"after":7},"changesets":[
		{"stream_id":"a","partition":"p","expect":{"version":3},"metadata":{},"claims":[{"kind":"k","value":"v"}],"releases":[],"references":[{"stream_id":"a"}],
		 "events":[{"id":"6f1d3c0a-4a63-5e0d-9d3b-da7b00c00001","type":"x","content_type":"text/plain",
			"occurred_at":"2026-01-31T12:00:00.1234567Z","context":{"who":"w","why":{"id":"1"},"metadata":[1]},"data": 1 }]}]} `,
	`{"changesets":[{"stream_id":"a","expect":"none","events":[{"type":"a\nb","data_text":"t"}]}]}`,
	`{"changesets":[{"stream_id":"a","expect":{},"events":[{"Type":"x","type":"y","data":null,"data":2}]}]}`,
	`{"append_id":null,"changesets":[{"stream_id":"\ud800","events":null}]}`,
	`{"changesets":[]} x`, `[1,2]`, `{`, `"a`, `{"a":01}`, `{"changesets":[{"expect":{"version":1,"changeset":2}}]}`, "{\"a\":\"\x00\"}", `{"a":"\u00zz"}`,
}

// TestWhatIsWrittenTheCommonWayIsReadInOnePass keeps the quick way from giving
// up on what it is for.
func TestWhatIsWrittenTheCommonWayIsReadInOnePass(t *testing.T) {
	for _, body := range bodies[:2] {
		if _, ok := quickAppend([]byte(body)); !ok {
			t.Errorf("given up: %s", body)
		}
	}
}

// FuzzQuickAppend holds the one pass against encoding/json.
func FuzzQuickAppend(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := quickAppend(bytes.Clone(body))
		want, err := slowAppend(body)
		if ok && (err != nil || !reflect.DeepEqual(got, want)) {
			t.Fatalf("read as\n%+v\nencoding/json reads it as\n%+v, %v", got, want, err)
		}
		if whole, wholeErr := DecodeAppend(body); !reflect.DeepEqual(whole, want) || fmt.Sprint(err) != fmt.Sprint(wholeErr) {
			t.Fatalf("read as\n%+v, %v\nwithout the quick way as\n%+v, %v", whole, wholeErr, want, err)
		}
	})
}

// FuzzMembers holds the splitting of objects and arrays against encoding/json.
func FuzzMembers(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]json.RawMessage{}
		if Members(data, func(key, value []byte) { got[string(key)] = value }) {
			var want map[string]json.RawMessage
			if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%q is split into %q, by encoding/json into %q, %v", data, got, want, err)
			}
		}
		if got, ok := Values(data); ok {
			var want []json.RawMessage
			if err := json.Unmarshal(data, &want); err != nil || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%q is split into %q, by encoding/json into %q, %v", data, got, want, err)
			}
		}
	})
}
