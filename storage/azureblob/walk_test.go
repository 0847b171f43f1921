package azureblob

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// walkObject reads the properties of a JSON object, in their order, as any reader
// of JSON would.
func walkObject(text []byte) (keys []string, values []any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, nil, errors.New("no object")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, nil, err
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, err
		}
		keys, values = append(keys, key.(string)), append(values, value)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, nil, errors.New("something stands behind the object")
	}
	return keys, values, nil
}
