package jsonform_test

import (
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/daybook-go/daybook/internal/jsonform"
)

type (
	plain  struct{ A, B int }
	hidden struct {
		A int
		b int
	}
	onPurpose struct {
		A int
		b int `json:"-"`
		_ int
	}
	inside struct {
		List []map[string]*hidden
	}
	embedding struct{ plain }
	loop      struct {
		Next *loop
		At   time.Time
		N    big.Int
	}
	calling struct{ Then func() }
	keyed   struct{ By map[plain]int }
	timed   map[time.Time]int
	unused  struct{ b int }
	wrapped struct{ U unused }
)

func TestWhatJSONLosesIsNamed(t *testing.T) {
	_ = []any{hidden{}.b, onPurpose{}.b, unused{}.b}
	for _, c := range []struct {
		of   any
		want string
	}{
		{plain{}, ""}, {&plain{}, ""}, {0, ""}, {onPurpose{}, ""}, {embedding{}, ""}, {loop{}, ""}, {timed{}, ""}, {[]any{}, ""},
		{hidden{}, "jsonform_test.hidden.b is not exported"},
		{inside{}, "jsonform_test.hidden.b is not exported"},
		{calling{}, "jsonform_test.calling.Then: a func() cannot be written"},
		{keyed{}, "jsonform_test.keyed.By: the keys of a map[jsonform_test.plain]int cannot be written"},
		{make(chan int), "a chan int cannot be written"},
		{1i, "a complex128 cannot be written"},
	} {
		if got := jsonform.Problem(reflect.TypeOf(c.of), nil); got != c.want {
			t.Errorf("%T: got %q, want %q", c.of, got, c.want)
		}
	}
	skip := func(t reflect.Type) bool { return t == reflect.TypeFor[unused]() }
	if got := jsonform.Problem(reflect.TypeFor[wrapped](), skip); got != "" {
		t.Errorf("what is to be skipped: %q", got)
	}
}
