package codec_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/daybook-go/daybook/codec"
)

type ordered struct {
	Order    string    `json:"order"`
	Customer string    `json:"customer"`
	At       time.Time `json:"at"`
	Lines    []line    `json:"lines"`
	Total    int64     `json:"total"`
	Paid     bool      `json:"paid"`
}

type line struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
	Price    int64  `json:"price"`
}

var orderedData = []byte(`{"order":"o-1","customer":"c-77","at":"2026-05-01T10:00:00Z","lines":[{"product":"p-1","quantity":2,"price":995},` +
	`{"product":"p-2","quantity":1,"price":12995}],"total":14985,"paid":true}`)

// BenchmarkDecode compares a codec with encoding/json into the same type, for
// a small event and a middling one, and one that brings its own decoder.
func BenchmarkDecode(b *testing.B) {
	c := codec.Must(codec.New[any](codec.Event[ordered]("ordered"), codec.Event[opened]("opened"), codec.Event[quick]("paid")))
	small := []byte(`{"owner":"Ann Lee","iban":"DE89370400440532013000"}`)
	b.Run("small/json", func(b *testing.B) { benchmarkJSON[opened](b, small) })
	b.Run("small/codec", func(b *testing.B) { benchmarkCodec(b, c, "opened", small) })
	b.Run("own/json", func(b *testing.B) { benchmarkJSON[quick](b, []byte(`{"Amount":12995}`)) })
	b.Run("own/codec", func(b *testing.B) { benchmarkCodec(b, c, "paid", []byte(`{"Amount":12995}`)) })
	b.Run("middling/json", func(b *testing.B) { benchmarkJSON[ordered](b, orderedData) })
	b.Run("middling/codec", func(b *testing.B) { benchmarkCodec(b, c, "ordered", orderedData) })
}

func benchmarkJSON[T any](b *testing.B, data []byte) {
	b.ReportAllocs()
	for b.Loop() {
		var value T
		if err := json.Unmarshal(data, &value); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkCodec(b *testing.B, c *codec.Codec[any], eventType string, data []byte) {
	b.ReportAllocs()
	r := recorded(eventType, string(data))
	var values []any
	for b.Loop() {
		var err error
		if values, err = c.AppendDecode(values[:0], r); err != nil || len(values) != 1 {
			b.Fatal(values, err)
		}
	}
}

func TestDecodingAllocatesNoMoreThanJSONAlone(t *testing.T) {
	c := codec.Must(codec.New[any](codec.Event[ordered]("ordered")))
	r := recorded("ordered", string(orderedData))
	alone := testing.AllocsPerRun(100, func() {
		var value ordered
		if err := json.Unmarshal(orderedData, &value); err != nil {
			t.Fatal(err)
		}
	})
	var values []any
	with := testing.AllocsPerRun(100, func() {
		var err error
		if values, err = c.AppendDecode(values[:0], r); err != nil {
			t.Fatal(err)
		}
	})
	if with > alone {
		t.Errorf("decoding takes %v allocations, encoding/json %v", with, alone)
	}
}

// BenchmarkEncode compares a codec with encoding/json.
func BenchmarkEncode(b *testing.B) {
	c := codec.Must(codec.New[any](codec.Event[ordered]("ordered")))
	var value ordered
	if err := json.Unmarshal(orderedData, &value); err != nil {
		b.Fatal(err)
	}
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(value); err != nil {
				b.Fatal(err)
			}
		}
	})
}
