package codec

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
)

// Checker is a *Codec of any event type.
type Checker interface {
	// Check reports why a record does not decode.
	Check(r *daybook.Record) error
}

// Use says which records of a store a codec is there for.
type Use struct {
	Codec  Checker
	Filter daybook.Filter // the zero Filter is for all
}

// ShapesOptions of ReadShapes. Nil and zero fields mean the defaults.
type ShapesOptions struct {
	// Read narrows what is read, for example to what came since the last time
	// (After). Borrow is set by itself. Default the whole log.
	Read daybook.LogRead
	// MaxShapes bounds how many shapes are told apart. Default 10,000.
	MaxShapes int
	// MaxStreams bounds how many streams are named for each shape. Default 10.
	MaxStreams int
}

// Shape is how some records look: all that have this type, schema, content
// type and structure.
type Shape struct {
	Type        string
	Schema      string
	ContentType string
	Structure   Structure

	Records int64            // how many there are
	Sample  daybook.Position // the first of them

	// Failed is how many of them do not decode. It may be some of them only:
	// a number may be too large, a step may fail on a value.
	Failed int64
	// Err tells of the first that does not decode, and where it stands. Nil
	// where all do.
	Err *DecodeError
	// Streams hold records that do not decode: the first few, in the order of
	// the log.
	Streams []daybook.StreamID
	// MoreStreams is set when there are more than Streams names.
	MoreStreams bool
}

// Shapes is what a store holds.
type Shapes struct {
	Shapes  []Shape // by type, schema, content type and structure
	Records int64   // how many were read
	Failed  int64   // how many of them do not decode
	// Untold is how many records have a shape beyond MaxShapes. Those that do
	// not decode are told as one shape of type "" and structure "…".
	Untold  int64
	Through daybook.Position // the last position that was read
}

// ReadShapes reads a store and tells the shapes of its records, and which of
// them the codecs cannot decode.
//
// A record is decoded by every codec whose Filter selects it. It fails if its
// data fails with any of them, or if none knows its type; so it does if no
// Filter selects it. What a codec's Options say about failures does not
// matter, except that unknown fields are passed over where they say so; what
// an entry drops is decoded.
//
// It takes memory by the number of shapes, not of records. When reading fails
// it returns the error, and what it has read so far.
func ReadShapes(ctx context.Context, store *daybook.Store, uses []Use, options *ShapesOptions) (*Shapes, error) {
	o := ShapesOptions{}
	if options != nil {
		o = *options
	}
	if o.MaxShapes <= 0 {
		o.MaxShapes = 10_000
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 10
	}
	o.Read.Borrow = true
	s := &shapeReader{uses: uses, options: o, shapes: map[shapeKey]*Shape{}}
	if store == nil {
		return s.result(), &daybook.InvalidError{Field: "store", Value: "nil", Reason: "must be set"}
	}
	for i := range uses {
		if uses[i].Codec == nil {
			return s.result(), &daybook.InvalidError{Field: fmt.Sprintf("uses[%d].Codec", i), Value: "nil", Reason: "must be set"}
		}
	}
	var failed error
	for record, err := range store.ReadLog(ctx, o.Read) {
		if err != nil {
			failed = fmt.Errorf("reading shapes behind position %d: %w", s.found.Through, err)
			break
		}
		s.take(&record)
	}
	return s.result(), failed
}

// shapeReader gathers shapes.
type shapeReader struct {
	uses    []Use
	options ShapesOptions
	shapes  map[shapeKey]*Shape
	found   Shapes
}

type shapeKey struct {
	kind, schema, contentType string
	structure                 Structure
}

// take counts a record.
func (s *shapeReader) take(r *daybook.Record) {
	s.found.Records++
	s.found.Through = r.Position
	failure := s.check(r)
	if failure != nil {
		s.found.Failed++
	}
	key := shapeKey{r.Type, r.Context.Schema, r.ContentType, StructureOf(r.ContentType, r.Data)}
	shape := s.shapes[key]
	if shape == nil && len(s.shapes) >= s.options.MaxShapes {
		s.found.Untold++
		if failure == nil {
			return
		}
		key = shapeKey{structure: "…"}
		shape = s.shapes[key]
	}
	if shape == nil {
		shape = &Shape{Type: key.kind, Schema: key.schema, ContentType: key.contentType, Structure: key.structure, Sample: r.Position}
		s.shapes[key] = shape
	}
	shape.Records++
	if failure != nil {
		shape.fail(r, failure, s.options.MaxStreams)
	}
}

// fail counts a record that does not decode.
func (s *Shape) fail(r *daybook.Record, failure *DecodeError, maxStreams int) {
	s.Failed++
	if s.Err == nil {
		s.Err = failure
	}
	switch {
	case slices.Contains(s.Streams, r.Stream):
	case len(s.Streams) < maxStreams:
		s.Streams = append(s.Streams, r.Stream)
	default:
		s.MoreStreams = true
	}
}

// check returns why a record does not decode, nil if it does.
func (s *shapeReader) check(r *daybook.Record) *DecodeError {
	unknown := failure(r, UnknownType, nil)
	unknown.Err = errors.New("no codec is there for it")
	decoded := false
	for _, use := range s.uses {
		if !use.Filter.Matches(r) {
			continue
		}
		err := use.Codec.Check(r)
		if err == nil {
			decoded = true
			continue
		}
		var known *DecodeError
		if !errors.As(err, &known) {
			return failure(r, BadData, err)
		}
		if known.Reason != UnknownType && known.Reason != UnknownContentType {
			return known
		}
		unknown = known
	}
	if decoded {
		return nil
	}
	return unknown
}

// result returns what was gathered, in order.
func (s *shapeReader) result() *Shapes {
	for _, shape := range s.shapes {
		s.found.Shapes = append(s.found.Shapes, *shape)
	}
	slices.SortFunc(s.found.Shapes, func(a, b Shape) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Schema, b.Schema),
			cmp.Compare(a.ContentType, b.ContentType), cmp.Compare(a.Structure, b.Structure))
	})
	return &s.found
}

// Undecodable returns the shapes of which records do not decode.
func (s *Shapes) Undecodable() []Shape {
	return slices.DeleteFunc(slices.Clone(s.Shapes), func(shape Shape) bool { return shape.Failed == 0 })
}

// WriteTo writes for people what does not decode, a paragraph for each shape,
// and a line that sums up. It returns how many bytes it wrote.
func (s *Shapes) WriteTo(w io.Writer) (int64, error) {
	var text strings.Builder
	failing := s.Undecodable()
	for _, shape := range failing {
		shape.tell(&text)
	}
	fmt.Fprintf(&text, "%d records of %d shapes read, up to position %d: ", s.Records, len(s.Shapes), s.Through)
	if s.Failed == 0 {
		text.WriteString("all decode\n")
	} else {
		fmt.Fprintf(&text, "%d records of %d shapes do not decode\n", s.Failed, len(failing))
	}
	n, err := io.WriteString(w, text.String())
	return int64(n), err
}

// tell writes the paragraph of a shape.
func (s *Shape) tell(text *strings.Builder) {
	fmt.Fprintf(text, "%s", s.Type)
	if s.Schema != "" {
		fmt.Fprintf(text, " schema %s", s.Schema)
	}
	if s.ContentType != daybook.ContentTypeJSON {
		fmt.Fprintf(text, " (%s)", s.ContentType)
	}
	fmt.Fprintf(text, ": %d of %d records do not decode\n    %s\n    %v\n    in", s.Failed, s.Records, s.Structure, s.Err)
	for _, stream := range s.Streams {
		fmt.Fprintf(text, " %s", stream)
	}
	if s.MoreStreams {
		text.WriteString(" and more")
	}
	text.WriteString("\n")
}
