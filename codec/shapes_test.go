package codec_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// filled is a store with an event for each "stream type data".
func filled(t testing.TB, events ...string) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { _ = store.Close() })
	for _, line := range events {
		parts := strings.SplitN(line, " ", 3)
		event := daybook.Event{Type: parts[1], Data: []byte(parts[2])}
		if _, err := store.Append(context.Background(), daybook.Stream(parts[0]), daybook.ExpectAny(), event); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestAStructureIsThePathsAndKindsOfADocument(t *testing.T) {
	for data, want := range map[string]codec.Structure{
		``:                            "",
		`{`:                           "?",
		`{} {}`:                       "?",
		`7`:                           "$:integer",
		`{"b":1,"a":-2}`:              "$.a:integer $.b:integer $:object",
		`{"a":1.0,"b":1e2}`:           "$.a:number $.b:number $:object",
		`{"a":[1,"x",[null]],"b":[]}`: "$.a:array $.a[]:array $.a[]:integer $.a[]:string $.a[][]:null $.b:array $:object",
		`{"12":true,"7":{"x y":""}}`:  `$.*:boolean $.*:object $.*["x y"]:string $:object`,
		`{"thirty-six bytes that are not a UUID":1}`: `$:object $["thirty-six bytes that are not a UUID"]:integer`,
		`{"6F1D3C0A-4a63-5e0d-9d3b-da7b00c00001":1}`: "$.*:integer $:object",
		`{"6f1d3c0a-4a63-5e0d-9d3b-da7b00c00001":1}`: "$.*:integer $:object",
	} {
		if got := codec.StructureOf("application/json; charset=utf-8", []byte(data)); got != want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
	if got := codec.StructureOf("application/x-own", []byte(`{}`)); got != "?" {
		t.Errorf("got %s", got)
	}
	wide := codec.StructureOf("", []byte(`{`+strings.TrimSuffix(func() (s string) {
		for i := range 600 {
			s += fmt.Sprintf(`"k%d":1,`, i)
		}
		return s
	}(), ",")+`}`))
	if !strings.HasSuffix(string(wide), " …") || strings.Count(string(wide), " ") != 500 {
		t.Errorf("a wide document has %d paths, ends %q", strings.Count(string(wide), " ")+1, wide[len(wide)-10:])
	}
}

func TestShapesThatDoNotDecodeAreFoundWithTheirStreams(t *testing.T) {
	store := filled(t,
		`account-1 opened {"owner":"Ann","iban":"DE1"}`,
		`account-1 deposited {"amount":5}`,
		`account-1 deposited {"amount":"6"}`,
		`account-2 deposited {"amount":"7"}`,
		`account-2 deposited {"amount":9223372036854775808}`,
		`account-3 deposited {"amount":"8"}`,
		`account-3 frozen {}`,
		`order-1 opened {"anything":1}`,
		`other-1 noted {}`,
	)
	orders := codec.Must(codec.New[any](codec.Event[map[string]int]("opened")))
	uses := []codec.Use{
		{Codec: account(t, &codec.Options{UnknownTypes: codec.Skip, BadData: codec.Skip}), Filter: daybook.Filter{StreamTypes: []string{"account"}}},
		{Codec: orders, Filter: daybook.Filter{StreamTypes: []string{"order"}}},
	}
	shapes, err := codec.ReadShapes(t.Context(), store, uses, &codec.ShapesOptions{MaxStreams: 2})
	if err != nil || shapes.Records != 9 || shapes.Failed != 6 || len(shapes.Shapes) != 6 || shapes.Through != 9 {
		t.Fatalf("got %+v, %v", shapes, err)
	}
	var got []string
	for _, s := range shapes.Undecodable() {
		got = append(got, fmt.Sprintf("%s %s %d/%d %s at %d in %v %v", s.Type, s.Structure, s.Failed, s.Records, s.Err.Reason, s.Err.Position, s.Streams, s.MoreStreams))
	}
	want := []string{
		"deposited $.amount:integer $:object 1/2 bad data at 5 in [account-2] false",
		"deposited $.amount:string $:object 3/3 bad data at 3 in [account-1 account-2] true",
		"frozen $:object 1/1 unknown type at 7 in [account-3] false",
		"noted $:object 1/1 unknown type at 9 in [other-1] false",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARecordThatOneOfSeveralCodecsDecodesIsFineUnlessItsDataFailsWithAnother(t *testing.T) {
	store := filled(t, `a-1 opened {"owner":"Ann"}`, `a-1 deposited {"amount":5}`)
	numbers := codec.Must(codec.New[any](codec.Event[map[string]int]("opened")))
	others := codec.Must(codec.New[any](codec.Drop("deposited", codec.AnySchema)))
	for name, test := range map[string]struct {
		uses   []codec.Use
		failed int64
	}{
		"none":       {nil, 2},
		"half":       {[]codec.Use{{Codec: others}}, 1},
		"both":       {[]codec.Use{{Codec: others}, {Codec: account(t)}}, 0},
		"one cannot": {[]codec.Use{{Codec: numbers}, {Codec: account(t)}}, 1},
	} {
		shapes, err := codec.ReadShapes(t.Context(), store, test.uses, nil)
		if err != nil || shapes.Failed != test.failed {
			t.Errorf("%s: %d failed, %v; want %d", name, shapes.Failed, err, test.failed)
		}
	}
}

func TestShapesBeyondTheLimitAreCountedTogether(t *testing.T) {
	store := filled(t, `a-1 w {}`, `a-1 x {}`, `a-1 y {}`, `a-1 closed {}`, `a-2 x {}`)
	shapes, err := codec.ReadShapes(t.Context(), store, []codec.Use{{Codec: account(t)}}, &codec.ShapesOptions{MaxShapes: 2})
	if err != nil || shapes.Untold != 2 || shapes.Failed != 4 || len(shapes.Shapes) != 3 {
		t.Fatalf("got %+v, %v", shapes, err)
	}
	if rest := shapes.Shapes[0]; rest.Structure != "…" || rest.Failed != 1 || rest.Err.Type != "y" {
		t.Errorf("got %+v", rest)
	}
}

func TestShapesReadSoFarAreTheAnswerOfAReadThatFails(t *testing.T) {
	driver := storagetest.NewFaulty(memory.New(nil))
	store := daybook.New(driver, nil)
	defer store.Close()
	for range 3 {
		if _, err := store.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), daybook.Event{Type: "closed"}); err != nil {
			t.Fatal(err)
		}
	}
	driver.Cue(storagetest.Fault{Call: storagetest.CallReadLog, After: storagetest.ErrFault, Records: 2})
	shapes, err := codec.ReadShapes(t.Context(), store, []codec.Use{{Codec: account(t)}}, nil)
	if !errors.Is(err, storagetest.ErrFault) || shapes.Records != 2 || shapes.Through != 2 {
		t.Errorf("got %+v, %v", shapes, err)
	}
}

func ExampleReadShapes() {
	type deposited struct{ Amount int }

	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, _ = store.Append(ctx, daybook.Stream("account-1"), daybook.ExpectAny(),
		daybook.Event{Type: "deposited", Data: []byte(`{"Amount":100}`)},
		daybook.Event{Type: "deposited", Data: []byte(`{"Amount":"100 EUR"}`)}) // as it was years ago

	events := codec.Must(codec.New[any](codec.Event[deposited]("deposited")))
	shapes, err := codec.ReadShapes(ctx, store, []codec.Use{{Codec: events}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, shape := range shapes.Undecodable() {
		fmt.Println(shape.Type, shape.Structure, shape.Failed, shape.Streams, "position", shape.Err.Position)
	}
	// Output: deposited $.Amount:string $:object 1 [account-1] position 2
}

func ExampleStructureOf() {
	fmt.Println(codec.StructureOf("application/json", []byte(`{"amount":5,"lines":[{"product":"p-1"},{"product":"p-2"}]}`)))
	// Output: $.amount:integer $.lines:array $.lines[].product:string $.lines[]:object $:object
}

func ExampleShapes_WriteTo() {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	_, _ = store.Append(ctx, daybook.Stream("account-1"), daybook.ExpectAny(), daybook.Event{Type: "frozen", Data: []byte(`{"by":"Bob"}`)})

	shapes, _ := codec.ReadShapes(ctx, store, nil, nil)
	_, _ = shapes.WriteTo(os.Stdout)
	// Output:
	// frozen: 1 of 1 records do not decode
	//     $.by:string $:object
	//     codec: record 1, version 1 of stream "account-1": unknown type: type "frozen": no codec is there for it
	//     in account-1
	// 1 records of 1 shapes read, up to position 1: 1 records of 1 shapes do not decode
}
