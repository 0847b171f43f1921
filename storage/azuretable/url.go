package azuretable

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/daybook-go/daybook"
)

// address is what a URL of a store says.
type address struct {
	endpoint  string // of the account, with a signature where there is one
	account   string
	key       string // "" where there is a signature, or an identity is to be used
	signature string
	table     string
}

const scheme = "azuretable:"

// The account of the emulator and its key are published with it.
const (
	emulatorAccount  = "devstoreaccount1"
	emulatorKey      = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	emulatorEndpoint = "http://127.0.0.1:10002/" + emulatorAccount
)

// tableName is what the service takes for one.
var tableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{2,62}$`)

// parseURL takes a URL apart. What it returns as an error has no secret in it.
func parseURL(text string) (address, error) {
	rest, found := strings.CutPrefix(text, scheme)
	if !found {
		return address{}, badURL("it must begin with " + scheme)
	}
	a, err := parseConnection(rest)
	if strings.HasPrefix(rest, "//") {
		a, err = parseHost(text)
	}
	if err != nil {
		return address{}, err
	}
	if !tableName.MatchString(a.table) {
		return address{}, &daybook.InvalidError{Field: "table", Value: "\"" + a.table + "\"", Reason: "must be 3 to 63 letters and digits, and begin with a letter"}
	}
	return a, nil
}

// parseHost reads azuretable://ACCOUNT.table.core.windows.net/TABLE, with a
// signature as its query or without.
func parseHost(text string) (address, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" {
		return address{}, badURL("its host cannot be read")
	}
	account, _, _ := strings.Cut(parsed.Host, ".")
	return address{
		endpoint: "https://" + parsed.Host, account: account, signature: parsed.RawQuery, table: strings.Trim(parsed.Path, "/"),
	}, nil
}

// parseConnection reads a connection string of the service, and Table=NAME.
func parseConnection(text string) (address, error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		if !found {
			return address{}, badURL("its parts must be Name=value")
		}
		parts[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	a := address{
		endpoint: parts["tableendpoint"], account: parts["accountname"], key: parts["accountkey"],
		signature: strings.TrimPrefix(parts["sharedaccesssignature"], "?"), table: parts["table"],
	}
	if strings.EqualFold(parts["usedevelopmentstorage"], "true") {
		a.endpoint, a.account, a.key = emulatorEndpoint, emulatorAccount, emulatorKey
	}
	if a.endpoint == "" && a.account != "" {
		protocol, suffix := parts["defaultendpointsprotocol"], parts["endpointsuffix"]
		if protocol == "" {
			protocol = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		a.endpoint = protocol + "://" + a.account + ".table." + suffix
	}
	if endpoint, query, signed := strings.Cut(a.endpoint, "?"); signed {
		a.endpoint, a.signature = endpoint, query
	}
	a.endpoint = strings.TrimSuffix(a.endpoint, "/")
	switch {
	case a.endpoint == "":
		return address{}, badURL("it names neither AccountName nor TableEndpoint")
	case a.key == "" && a.signature == "":
		return address{}, badURL("it has neither AccountKey nor SharedAccessSignature")
	case a.key != "" && a.account == "":
		return address{}, badURL("AccountKey needs AccountName")
	}
	return a, nil
}

// badURL is the error for a URL, without the secrets in it.
func badURL(reason string) error {
	return &daybook.InvalidError{
		Field: "url", Value: "not the URL of a table",
		Reason: "must be like azuretable:DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;Table=daybook " +
			"or azuretable://ACCOUNT.table.core.windows.net/TABLE: " + reason,
	}
}
