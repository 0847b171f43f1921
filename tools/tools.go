//go:build tools

// Package tools names the programs that `make lint` builds.
package tools

import _ "honnef.co/go/tools/cmd/staticcheck"
