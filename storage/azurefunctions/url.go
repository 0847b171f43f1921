package azurefunctions

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/daybook-go/daybook"
)

// address is what a URL names.
type address struct {
	account, key  string // key is "" where there is a signature
	signature     string
	tableEndpoint string
	blobEndpoint  string
	domain        string // "" for all of them
	tables, blobs bool   // what is read
}

// The account of the emulator and its key are published with it.
const (
	emulatorAccount = "devstoreaccount1"
	emulatorKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// parseURL takes a URL apart. What it returns as an error has no secret in it.
func parseURL(text string) (address, error) {
	rest, found := strings.CutPrefix(text, "azuretable-functions:")
	if !found {
		return address{}, badURL("it must begin with azuretable-functions:")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return address{}, badURL("its parts must be Name=value")
		}
		parts[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	a := address{
		account: parts["accountname"], key: parts["accountkey"], signature: strings.TrimPrefix(parts["sharedaccesssignature"], "?"),
		tableEndpoint: parts["tableendpoint"], blobEndpoint: parts["blobendpoint"], domain: parts["domain"],
	}
	if strings.EqualFold(parts["usedevelopmentstorage"], "true") {
		a.account, a.key = emulatorAccount, emulatorKey
		a.tableEndpoint, a.blobEndpoint = "http://127.0.0.1:10002/"+emulatorAccount, "http://127.0.0.1:10000/"+emulatorAccount
	}
	only := strings.ToLower(parts["only"])
	a.tables, a.blobs = only == "" || only == "tables", only == "" || only == "blobs"
	a.fillEndpoints(parts)
	switch {
	case !a.tables && !a.blobs:
		return address{}, &daybook.InvalidError{Field: "url.only", Value: fmt.Sprintf("%q", only), Reason: "must be tables or blobs"}
	case a.tables && a.tableEndpoint == "" || a.blobs && a.blobEndpoint == "":
		return address{}, badURL("it names no AccountName, and not the endpoints of all that is to be read")
	case a.key == "" && a.signature == "":
		return address{}, badURL("it has neither AccountKey nor SharedAccessSignature")
	case a.key != "" && a.account == "":
		return address{}, badURL("AccountKey needs AccountName")
	}
	return a, nil
}

// fillEndpoints puts the public endpoints of the account where none are named.
func (a *address) fillEndpoints(parts map[string]string) {
	protocol, suffix := parts["defaultendpointsprotocol"], parts["endpointsuffix"]
	if protocol == "" {
		protocol = "https"
	}
	if suffix == "" {
		suffix = "core.windows.net"
	}
	if a.tableEndpoint == "" && a.account != "" {
		a.tableEndpoint = protocol + "://" + a.account + ".table." + suffix
	}
	if a.blobEndpoint == "" && a.account != "" {
		a.blobEndpoint = protocol + "://" + a.account + ".blob." + suffix
	}
}

// badURL is the error for a URL, without the secrets in it.
func badURL(reason string) error {
	return &daybook.InvalidError{
		Field: "url", Value: "not that of an account",
		Reason: "must be like azuretable-functions:DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;Domain=Bank: " + reason,
	}
}

// signed returns an endpoint as a client takes it.
func (a *address) signed(endpoint string) string {
	endpoint = strings.TrimSuffix(endpoint, "/")
	if a.key == "" {
		endpoint += "/?" + a.signature
	}
	return endpoint
}

func (a *address) tableClient() (*aztables.ServiceClient, error) {
	if a.key == "" {
		client, err := aztables.NewServiceClientWithNoCredential(a.signed(a.tableEndpoint), nil)
		return client, explained(err)
	}
	credential, err := aztables.NewSharedKeyCredential(a.account, a.key)
	if err != nil {
		return nil, badURL("AccountKey is no key")
	}
	client, err := aztables.NewServiceClientWithSharedKey(a.signed(a.tableEndpoint), credential, nil)
	return client, explained(err)
}

func (a *address) blobClient() (*azblob.Client, error) {
	if a.key == "" {
		client, err := azblob.NewClientWithNoCredential(a.signed(a.blobEndpoint), nil)
		return client, explained(err)
	}
	credential, err := azblob.NewSharedKeyCredential(a.account, a.key)
	if err != nil {
		return nil, badURL("AccountKey is no key")
	}
	client, err := azblob.NewClientWithSharedKeyCredential(a.signed(a.blobEndpoint), credential, nil)
	return client, explained(err)
}

// explained is an error of the service without the URL of the request, which
// may hold a signature.
func explained(err error) error {
	var response *azcore.ResponseError
	var request *url.Error
	switch {
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &response):
		return fmt.Errorf("the service answers %d %s", response.StatusCode, response.ErrorCode)
	case errors.As(err, &request):
		return fmt.Errorf("the service does not answer: %w", request.Err)
	}
	return err
}
