package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

// document is the OpenAPI document of the interface, but for its version.
//
//go:embed openapi.json
var document []byte

// openAPI returns the document with the version of the server.
func openAPI(version string) []byte {
	quoted, err := json.Marshal(version)
	if err != nil {
		panic("httpapi: a string that JSON cannot hold: " + err.Error())
	}
	return bytes.Replace(document, []byte(`"0.0.0"`), quoted, 1)
}

func (h *Handler) openAPI(x *exchange) error {
	x.out = append(x.out, h.openapi...)
	return nil
}
