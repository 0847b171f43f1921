// Package codec turns the events of a program, which are Go types, into the
// events of a store, and records back into Go values.
//
// An aggregate has a handful of event types, and most often an interface that
// all of them implement. A codec lists them once, each with the name under
// which it is recorded:
//
//	type AccountEvent interface{ accountEvent() }
//
//	var events = codec.Must(codec.New[AccountEvent](
//		codec.Event[Opened]("opened"),
//		codec.Event[Deposited]("deposited"),
//	))
//
// [Codec.Encode] makes an event of a value, [Codec.Decode] makes values of a
// record. There is no global registry and nothing is derived from the names
// of Go types: they may be renamed at any time, the names in the codec are what
// is stored.
//
// What a codec can find out it says when it is built, not when the record
// comes: a name or a type given twice, a type that is no event of the
// aggregate, and, where the set of events is declared (see [Sealed]), a type
// that was forgotten.
//
// # Old records
//
// Records never change, types do. [Upcast] says how what was recorded under an
// old name or schema becomes what the program uses now; [UpcastMany] makes
// several events of one, or none; [Drop] is for what nobody needs any more.
// Steps are plain functions from one Go type to the next and follow one
// another, so each is tested alone.
//
// # What cannot be decoded
//
// [Options] say what happens to records of unknown types, to unknown fields
// and to data that does not decode: an error, passing over, or a [Quarantine].
// [ReadShapes] reads a whole store and tells which recorded shapes a set of
// codecs cannot decode any more: run it before a release, not after.
package codec
