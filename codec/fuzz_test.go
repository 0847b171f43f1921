package codec_test

import (
	"testing"

	"github.com/daybook-go/daybook/codec"
)

// FuzzDecode: whatever stands in a record is decoded or refused, the same way
// each time, and what decodes can be encoded.
func FuzzDecode(f *testing.F) {
	type anything struct {
		Any    any
		Text   string
		Number int64
		List   []any
	}
	for _, data := range []string{``, `{}`, `null`, `{"Any":{"1":[0.0,null]},"Number":9}`, `{"Number":1e3}`, `[[[`, `{"Text":"\ud800"}`, `{} {}`} {
		f.Add([]byte(data))
	}
	lax := codec.Must(codec.New[any](codec.Event[anything]("anything")))
	strict := codec.Must(codec.New[any](codec.Event[anything]("anything"), &codec.Options{UnknownFields: codec.Fail}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if once, twice := codec.StructureOf("", data), codec.StructureOf("", data); once != twice {
			t.Fatalf("one document has two structures, %s and %s", once, twice)
		}
		r := recorded("anything", string(data))
		values, err := lax.Decode(r)
		if strictly, strictErr := strict.Decode(r); strictErr == nil && (err != nil || len(strictly) != 1) {
			t.Fatalf("decodes strictly, but else does not: %v", err)
		}
		if err != nil {
			return
		}
		event, err := lax.Encode(values[0])
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		if _, err := strict.Decode(record(event)); err != nil {
			t.Fatalf("%s does not decode: %v", event.Data, err)
		}
	})
}
