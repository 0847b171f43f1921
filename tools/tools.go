//go:build tools

// Package tools names the programs that `make lint` builds, and that generate
// code.
package tools

import (
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
	_ "honnef.co/go/tools/cmd/staticcheck"
)
