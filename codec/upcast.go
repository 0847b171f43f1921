package codec

import (
	"fmt"
	"reflect"

	"github.com/daybook-go/daybook"
)

// Upcast says that records of that name and schema hold an Old, and how it
// becomes a Now: an event of the codec, or the old type of another Upcast,
// which then goes on with it. Schema "" is that of records that name none.
//
// The step must not depend on anything but its argument.
func Upcast[Old, Now any](name, schema string, step func(Old) Now) Entry {
	u := newUpcast[Old, Now](name, schema, step == nil)
	u.step = func(old any, _ *daybook.Record, out []any) ([]any, error) { return append(out, step(old.(Old))), nil }
	return u
}

// UpcastMany is Upcast for what becomes several events, or none, or needs to
// see the record, or may fail. The step must not keep the record nor change
// it. Where Now is an interface, it may give any of the types that Upcast may.
func UpcastMany[Old, Now any](name, schema string, step func(old Old, r *daybook.Record) ([]Now, error)) Entry {
	u := newUpcast[Old, Now](name, schema, step == nil)
	u.step = func(old any, r *daybook.Record, out []any) ([]any, error) {
		values, err := step(old.(Old), r)
		for _, value := range values {
			out = append(out, value)
		}
		return out, err
	}
	return u
}

// Drop says that records of that name and schema mean nothing any more: they
// decode to no values, whatever their data is. AnySchema drops all that no
// other entry reads.
func Drop(name, schema string) Entry { return &upcast{name: name, schema: schema} }

// upcast reads records of an old shape.
type upcast struct {
	name, schema string
	old, now     reflect.Type // nil when dropped
	missing      bool         // the function that step calls is nil
	read         func(decodeFunc, []byte) (any, error)
	// step appends what becomes of an old value. Nil for what is dropped.
	step func(old any, r *daybook.Record, out []any) ([]any, error)
}

func newUpcast[Old, Now any](name, schema string, missing bool) *upcast {
	return &upcast{name: name, schema: schema, missing: missing, old: reflect.TypeFor[Old](), now: reflect.TypeFor[Now](), read: readerOf[Old]()}
}

// add makes an upcast an Entry.
func (u *upcast) add(b *build) { b.upcasts = append(b.upcasts, u) }

// take carries the step out, and makes an error of a panic: a record from the
// past must not be able to end the program.
func (u *upcast) take(old any, r *daybook.Record) (out []any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			out, err = nil, fmt.Errorf("the step from %s panicked: %v", u.old, reason)
		}
	}()
	if out, err = u.step(old, r, nil); err != nil {
		return nil, fmt.Errorf("the step from %s: %w", u.old, err)
	}
	return out, nil
}
