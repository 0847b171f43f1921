package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
)

// Structure is what the data of an event looks like without its values: the
// paths of a JSON document, each with the kind of what stands there, in order
// and each once, separated by spaces.
//
//	$.amount:integer $.lines:array $.lines[].product:string $.lines[]:object $:object
//
// The kinds are object, array, string, integer (digits and a sign only),
// number, boolean and null. All elements of an array have one path, and so
// have all keys of an object that are numbers or UUIDs: "*". A structure with
// more than 500 paths ends with "…". Data without a body has the structure "",
// data that is not JSON "?".
type Structure string

const maxPaths = 500

// StructureOf returns the structure of data of a content type.
func StructureOf(contentType string, data []byte) Structure {
	if len(data) == 0 {
		return ""
	}
	if kind := mediaType(contentType); kind != daybook.ContentTypeJSON && !strings.HasSuffix(kind, "+json") {
		return "?"
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "?"
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "?"
	}
	paths := map[string]struct{}{}
	outline(paths, "$", value)
	sorted := slices.Sorted(maps.Keys(paths))
	if len(sorted) > maxPaths {
		sorted = append(sorted[:maxPaths], "…")
	}
	return Structure(strings.Join(sorted, " "))
}

// outline adds the paths of value to paths.
func outline(paths map[string]struct{}, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		paths[path+":object"] = struct{}{}
		for key, inner := range v {
			outline(paths, path+step(key), inner)
		}
	case []any:
		paths[path+":array"] = struct{}{}
		for _, inner := range v {
			outline(paths, path+"[]", inner)
		}
	case string:
		paths[path+":string"] = struct{}{}
	case json.Number:
		kind := ":integer"
		if strings.ContainsAny(v.String(), ".eE") {
			kind = ":number"
		}
		paths[path+kind] = struct{}{}
	case bool:
		paths[path+":boolean"] = struct{}{}
	default:
		paths[path+":null"] = struct{}{}
	}
}

// step returns how a path goes on to a key.
func step(key string) string {
	uuid := len(key) == 36 && daybook.IDOf(key).String() == strings.ToLower(key)
	if uuid || key != "" && strings.Trim(key, "0123456789") == "" {
		return ".*"
	}
	if key == "" || strings.ContainsAny(key, " .[]:*\"\\\t\r\n") {
		return "[" + strconv.Quote(key) + "]"
	}
	return "." + key
}
