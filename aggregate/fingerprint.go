package aggregate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"

	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/internal/jsonform"
)

// fingerprint returns a short text that changes when what can be seen of a
// fold does: the structure of its state, the encoding, the initial state and
// the states after each of the samples. It fails where a state does not come
// back from the encoding as it was.
func fingerprint[S, E any](with codec.Encoding, initial func() S, fold func(S, []E) (S, error), samples []E) (string, error) {
	kind := reflect.TypeFor[S]()
	if _, isJSON := with.(codec.JSON); isJSON {
		if lost := jsonform.Problem(kind, isRoot); lost != "" {
			return "", &SetupError{What: "options.Snapshots.Encoding", Reason: "JSON loses a part of the state: " + lost + "; export it, give an encoding, or tag it `json:\"-\"` where that is meant"}
		}
	}
	hash := sha256.New()
	fmt.Fprintln(hash, with.ContentType())
	writeStructure(hash, kind, map[reflect.Type]bool{})
	state := initial()
	for i := -1; i < len(samples); i++ {
		if i >= 0 {
			if isNil(samples[i]) {
				return "", &SetupError{What: fmt.Sprintf("options.Snapshots.Samples[%d]", i), Reason: "must not be nil"}
			}
			var err error
			if state, err = fold(state, samples[i:i+1]); err != nil {
				return "", &SetupError{What: fmt.Sprintf("options.Snapshots.Samples[%d]", i), Reason: err.Error()}
			}
		}
		data, err := there(with, state)
		if err != nil {
			return "", &SetupError{What: "options.Snapshots.Encoding", Reason: fmt.Sprintf("a %s does not survive it: %v", kind, err)}
		}
		fmt.Fprintln(hash, len(data))
		hash.Write(data)
	}
	return hex.EncodeToString(hash.Sum(nil)[:12]), nil
}

// there encodes a state, and back again, and sees whether that is the same.
func there[S any](with codec.Encoding, state S) ([]byte, error) {
	data, err := with.Encode(state)
	if err != nil {
		return nil, err
	}
	back, err := codec.DecodeAs[S](with, data)
	if err != nil {
		return nil, err
	}
	again, err := with.Encode(back)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(data, again) {
		return nil, fmt.Errorf("%.100q comes back as %.100q", data, again)
	}
	return data, nil
}

// writeStructure writes what a type is made of, without its name: renaming a
// type changes nothing.
func writeStructure(w io.Writer, t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		fmt.Fprint(w, "again ")
		return
	}
	if isRoot(t) {
		return
	}
	seen[t] = true
	defer delete(seen, t)
	fmt.Fprint(w, t.Kind(), " ")
	switch t.Kind() {
	case reflect.Map:
		writeStructure(w, t.Key(), seen)
		writeStructure(w, t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		writeStructure(w, t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			fmt.Fprintf(w, "%q %q ", field.Name, field.Tag)
			writeStructure(w, field.Type, seen)
		}
		fmt.Fprint(w, "end ")
	}
}
