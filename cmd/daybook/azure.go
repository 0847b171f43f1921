package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
)

// azureKinds are the kinds of URLs that may hold the connection string of a
// service in Azure, and with it a key.
var azureKinds = []string{"azureblob", "azuretable", "cosmos", "azuretable-functions"}

// isAzure reports whether a URL is of one of them.
func isAzure(address string) bool {
	kind, _ := kindOf(address)
	return slices.Contains(azureKinds, kind)
}

// azureFailure puts the exit code to an error of opening: what is wrong with the
// URL is wrong usage, else the store cannot be had.
func azureFailure(err error) error {
	if errors.Is(err, daybook.ErrInvalid) || errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{exit: exitStore, err: err}
}

// plainSettings are what may be shown of a connection string: nothing else is
// known not to be a key.
var plainSettings = []string{
	"accountname", "accountendpoint", "blobendpoint", "tableendpoint", "queueendpoint", "fileendpoint", "defaultendpointsprotocol",
	"endpointsuffix", "usedevelopmentstorage", "container", "table", "database", "domain", "only",
}

// keySettings are those that hold keys.
var keySettings = []string{"accountkey", "sharedaccesssignature"}

// shownAzure is the URL of a store in Azure as it may be printed: without keys
// and signatures.
func shownAzure(address string) string {
	kind, rest := kindOf(address)
	if plain, signed := strings.CutPrefix(rest, "//"); signed {
		// A connection string could stand here by mistake.
		plain, _, _ = strings.Cut(plain, ";")
		if at := strings.LastIndex(plain, "@"); at >= 0 {
			plain = hidden + plain[at:]
		}
		return kind + "://" + withoutQuery(plain)
	}
	return kind + ":" + shownSettings(rest)
}

// holdsKey reports whether a text has the parts of a connection string that
// are keys, wherever it was given.
func holdsKey(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(keySettings, func(name string) bool { return strings.Contains(text, name) })
}

// shownSettings is a connection string without its keys.
func shownSettings(text string) string {
	var settings []string
	for setting := range strings.SplitSeq(text, ";") {
		if setting == "" {
			continue
		}
		name, value, ok := strings.Cut(setting, "=")
		switch name = strings.TrimSpace(name); {
		case ok && slices.Contains(plainSettings, strings.ToLower(name)):
			setting = name + "=" + withoutQuery(value)
		case ok && slices.Contains(keySettings, strings.ToLower(name)):
			setting = name + "=" + hidden
		default:
			setting = hidden // a key by itself may hold a "="
		}
		settings = append(settings, setting)
	}
	return strings.Join(settings, ";")
}

// withoutQuery hides what stands behind a question mark: a signature.
func withoutQuery(text string) string {
	if before, _, signed := strings.Cut(text, "?"); signed {
		return before + "?" + hidden
	}
	return text
}
