package sqlstore

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Text is a statement as it is written, with its values.
type Text struct {
	Mark   string // what parameters begin with: "$" or "@p"
	Values []any

	text strings.Builder
}

// Add writes parts.
func (t *Text) Add(parts ...string) {
	for _, part := range parts {
		t.text.WriteString(part)
	}
}

// Value takes in a value and returns the parameter that stands for it.
func (t *Text) Value(v any) string {
	t.Values = append(t.Values, v)
	return t.Mark + strconv.Itoa(len(t.Values))
}

// String returns what was written.
func (t *Text) String() string { return t.text.String() }

// Parameters returns n parameters: "$1, $2, …".
func Parameters(mark string, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = mark + strconv.Itoa(i+1)
	}
	return strings.Join(list, ", ")
}

// Direction returns the word for an order.
func Direction(backwards bool) string {
	if backwards {
		return "DESC"
	}
	return "ASC"
}

// Scripts returns the texts of the files in a folder, in the order of their
// names, as in has them: with names put into them.
func Scripts(files fs.FS, folder string, in func(string) string) ([]string, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, entry := range entries {
		text, err := fs.ReadFile(files, path.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, in(string(text)))
	}
	return texts, nil
}
