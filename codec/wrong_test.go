package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

type (
	secret  struct{ owner string } // JSON does not see it
	marked  struct{ Owner, cached string }
	calling struct{ Then func() }
	tagged  struct {
		Owner  string
		cached string `json:"-"`
	}
	bursting struct{}
	nameless struct{ codec.JSON }
)

func (bursting) UnmarshalJSON([]byte) error { panic("burst") }
func (nameless) ContentType() string        { return "" }

// TestWhatIsPutTogetherWronglyIsSaidWhenTheCodecIsBuilt has every mistake in a
// codec of its own, and what the error says about it.
func TestWhatIsPutTogetherWronglyIsSaidWhenTheCodecIsBuilt(t *testing.T) {
	_ = []any{secret{}.owner, marked{}.cached, tagged{}.cached}
	var none *codec.Options
	for _, c := range []struct {
		wrong   string
		entries []codec.Entry
		says    []string
	}{
		{"a type twice", []codec.Entry{codec.Event[opened]("opened"), codec.Event[opened]("begun")}, []string{`event "begun"`, "codec_test.opened", `is event "opened" already`}},
		{"a name twice", []codec.Entry{codec.Event[opened]("opened"), codec.Event[deposited]("opened")}, []string{`event "opened"`, "stands for codec_test.opened already"}},
		{"an old name that is taken", []codec.Entry{codec.Event[opened]("opened"), codec.Event[deposited]("deposited", codec.Formerly("opened"))}, []string{`event "opened"`, "already"}},
		{"no name", []codec.Entry{codec.Event[opened]("")}, []string{"the name must not be empty"}},
		{"a long name", []codec.Entry{codec.Event[opened](strings.Repeat("x", 257))}, []string{"longer than 256 bytes"}},
		{"no entry", []codec.Entry{nil}, []string{"entry 0 is nil"}},
		{"an empty option", []codec.Entry{codec.Event[opened]("opened", codec.Option{})}, []string{`event "opened"`, "an option of it says nothing"}},
		{"no function of tags", []codec.Entry{codec.Event[opened]("opened", codec.Tags[opened](nil))}, []string{`event "opened"`, "option Tags must not be nil"}},
		{"no function of claims", []codec.Entry{codec.Event[opened]("opened", codec.Claims[opened](nil))}, []string{"option Claims must not be nil"}},
		{"no function of releases", []codec.Entry{codec.Event[opened]("opened", codec.Releases[opened](nil))}, []string{"option Releases must not be nil"}},
		{"no function of references", []codec.Entry{codec.Event[opened]("opened", codec.Requires[opened](nil))}, []string{"option Requires must not be nil"}},
		{"no function of times", []codec.Entry{codec.Event[opened]("opened", codec.Occurred[opened](nil))}, []string{"option Occurred must not be nil"}},
		{"an option of another type", []codec.Entry{codec.Event[opened]("opened", codec.Tags(func(deposited) []string { return nil }))}, []string{"option Tags is for codec_test.deposited"}},
		{"no step", []codec.Entry{codec.Event[opened]("opened"), codec.Upcast[deposited, opened]("begun", "", nil)}, []string{`event "begun"`, "step must not be nil"}},
		{"no step to many", []codec.Entry{codec.Event[opened]("opened"), codec.UpcastMany[deposited, opened]("begun", "", nil)}, []string{`event "begun"`, "step must not be nil"}},
		{"a field that JSON does not see", []codec.Entry{codec.Event[secret]("kept")}, []string{`event "kept"`, "codec_test.secret.owner is not exported"}},
		{"one of several that JSON does not see", []codec.Entry{codec.Event[marked]("kept")}, []string{"codec_test.marked.cached is not exported", `json:"-"`}},
		{"a field that JSON cannot write", []codec.Entry{codec.Event[calling]("called")}, []string{`event "called"`, "codec_test.calling.Then: a func() cannot be written"}},
		{"options twice", []codec.Entry{none, none}, []string{"the options are given twice"}},
		{"no other encoding", []codec.Entry{&codec.Options{Also: []codec.Encoding{nil}}}, []string{"options.Also[0] is nil"}},
		{"one encoding twice", []codec.Entry{&codec.Options{Also: []codec.Encoding{codec.JSON{}}}}, []string{`two encodings for content type "application/json"`}},
		{"an encoding without a name", []codec.Entry{&codec.Options{Encoding: nameless{}}}, []string{"codec_test.nameless", "1 to 4096 bytes (it has 0)"}},
		{"a policy that nobody knows", []codec.Entry{&codec.Options{BadData: 9}}, []string{"options.BadData must be Fail, Skip or Aside (it is 9)"}},
	} {
		built, err := codec.New[any](c.entries...)
		var entry *codec.EntryError
		if built != nil || !errors.As(err, &entry) {
			t.Errorf("%s: %v", c.wrong, err)
			continue
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: it says %q, without %q", c.wrong, err, part)
			}
		}
	}
	if _, err := codec.New[any](codec.Event[tagged]("kept")); err != nil {
		t.Errorf("a field that is left out on purpose: %v", err)
	}
}

func TestANilEventIsNamed(t *testing.T) {
	c := account(t)
	for _, value := range []accountEvent{nil, (*closed)(nil)} {
		_, err := c.Encode(value)
		if !errors.Is(err, codec.ErrNil) || !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%T: %v", value, err)
		}
	}
	if _, err := c.Encode((*closed)(nil)); err == nil || err.Error() != "codec: encode *codec_test.closed: the value is nil" {
		t.Errorf("it says %v", err)
	}
}

func TestATypeThatPanicsWhileItIsDecodedIsBadData(t *testing.T) {
	c := codec.Must(codec.New[any](codec.Event[bursting]("burst")))
	_, err := c.Decode(recorded("burst", `{}`))
	var decode *codec.DecodeError
	if !errors.As(err, &decode) || decode.Reason != codec.BadData || !strings.Contains(err.Error(), "panicked: burst") {
		t.Errorf("it answers %v", err)
	}
}

func TestReadingShapesWithoutAStoreOrACodecIsRefused(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	for name, err := range map[string]error{
		"no store": second(codec.ReadShapes(t.Context(), nil, nil, nil)),
		"no codec": second(codec.ReadShapes(t.Context(), store, []codec.Use{{Codec: account(t)}, {}}, nil)),
	} {
		if !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := codec.ReadShapes(t.Context(), store, []codec.Use{{}}, nil); fmt.Sprint(err) != "uses[0].Codec: must be set (it is nil)" {
		t.Errorf("it says %q", err)
	}
}

func TestAStepThatPanicsOrGivesNothingIsABadUpcast(t *testing.T) {
	type old struct{ At time.Time }
	for name, step := range map[string]func(old, *daybook.Record) ([]any, error){
		"panics":     func(old, *daybook.Record) ([]any, error) { panic("lost") },
		"gives nil":  func(old, *daybook.Record) ([]any, error) { return []any{nil}, nil },
		"gives else": func(old, *daybook.Record) ([]any, error) { return []any{7}, nil },
	} {
		c := codec.Must(codec.New[any](codec.Event[deposited]("deposited"), codec.UpcastMany("moved", "", step)))
		_, err := c.Decode(recorded("moved", `{}`))
		var decode *codec.DecodeError
		if !errors.As(err, &decode) || decode.Reason != codec.BadUpcast || decode.Position == 0 || !strings.Contains(err.Error(), "codec_test.old") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
