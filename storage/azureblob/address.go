package azureblob

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/daybook-go/daybook"
)

// target is what an address names.
type target struct {
	service   string // URL of the account, without a slash at its end
	container string
	sas       string // the query of a shared access signature
	account   string // with key
	key       string
}

const rootContainer = "$root"

// The account of the emulator, which everybody knows.
const (
	emulatorService = "http://127.0.0.1:10000/devstoreaccount1"
	emulatorAccount = "devstoreaccount1"
	emulatorKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// parseAddress reads an address as Open takes it.
func parseAddress(address string) (target, error) {
	rest, ok := strings.CutPrefix(address, "azureblob:")
	if !ok {
		return target{}, badAddress("it must begin with azureblob:")
	}
	if strings.HasPrefix(rest, "//") {
		return parseURL(rest)
	}
	return parseConnectionString(rest)
}

func parseURL(rest string) (target, error) {
	parsed, err := url.Parse("https:" + rest)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
		return target{}, badAddress("its parts cannot be told apart")
	}
	host := parsed.Hostname()
	scheme, path := "https", strings.Trim(parsed.Path, "/")
	// An address without a name is that of an emulator: there the account is
	// the first part of the path.
	if net.ParseIP(host) != nil || host == "localhost" {
		account, inside, _ := strings.Cut(path, "/")
		scheme, path = "http", inside
		parsed.Host += "/" + account
	}
	t := target{service: scheme + "://" + parsed.Host, container: path, sas: parsed.RawQuery}
	return t, t.check()
}

func parseConnectionString(text string) (target, error) {
	var t target
	parts := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return t, badAddress("every part of the connection string must be NAME=VALUE")
		}
		parts[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	t.container = parts["container"]
	t.account, t.key = parts["accountname"], parts["accountkey"]
	t.sas = strings.TrimPrefix(parts["sharedaccesssignature"], "?")
	t.service = strings.TrimRight(parts["blobendpoint"], "/")
	switch {
	case strings.EqualFold(parts["usedevelopmentstorage"], "true"):
		t.service, t.account, t.key = emulatorService, emulatorAccount, emulatorKey
	case t.service == "" && t.account == "":
		return t, badAddress("the connection string must name AccountName or BlobEndpoint")
	case t.service == "":
		scheme, suffix := parts["defaultendpointsprotocol"], parts["endpointsuffix"]
		if scheme == "" {
			scheme = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		t.service = scheme + "://" + t.account + ".blob." + suffix
	}
	if t.key != "" && t.account == "" {
		return t, badAddress("an AccountKey needs its AccountName")
	}
	return t, t.check()
}

// check fills in the container and refuses one that cannot be.
func (t *target) check() error {
	if t.container == "" {
		t.container = rootContainer
	}
	name := t.container
	bad := len(name) < 3 || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
		strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") || strings.Contains(name, "--")
	if bad && name != rootContainer {
		return &daybook.InvalidError{Field: "container", Value: name, Reason: "must have 3 to 63 of a-z, 0-9 and single hyphens between them"}
	}
	return nil
}

// readOnly reports whether the address lets nothing be appended: its shared
// access signature names its rights, and neither adding nor writing is one.
func (t *target) readOnly() bool {
	values, err := url.ParseQuery(t.sas)
	return err == nil && t.key == "" && values.Has("sp") && !strings.ContainsAny(values.Get("sp"), "aw")
}

// badAddress is the error for an address, without the secret in it.
func badAddress(reason string) error {
	return &daybook.InvalidError{
		Field: "address", Value: "not an address of append blobs",
		Reason: "must be like azureblob://ACCOUNT.blob.core.windows.net/CONTAINER or azureblob:CONNECTION-STRING;Container=NAME: " + reason,
	}
}

// connect makes the client of the container that an address names.
func (d *Driver) connect(address string) (b *blobs, readOnly bool, err error) {
	t, err := parseAddress(address)
	if err != nil {
		return nil, false, err
	}
	client, err := t.client()
	if err != nil {
		return nil, false, err
	}
	b = &blobs{container: client, single: d.options.Blob, blocks: d.options.blocks, timeout: d.options.Timeout}
	return b, t.readOnly(), nil
}

func (t *target) client() (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: policy.ClientOptions{
		// The driver repeats by itself: it knows what may be stored already.
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "daybook"},
	}}
	address := t.service + "/" + t.container
	switch {
	case t.key != "":
		credential, err := container.NewSharedKeyCredential(t.account, t.key)
		if err != nil {
			return nil, badAddress("AccountKey must be base64")
		}
		return container.NewClientWithSharedKeyCredential(address, credential, options)
	case t.sas != "":
		return container.NewClientWithNoCredential(address+"?"+t.sas, options)
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return container.NewClient(address, credential, options)
}

// isMissingContainer reports whether there is no container.
func isMissingContainer(err error) bool {
	refused, ok := err.(*RefusedError)
	return ok && refused.Code == string(bloberror.ContainerNotFound)
}

// createContainer makes the container where there is none.
func (b *blobs) createContainer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, err := b.container.Create(ctx, nil)
	if bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return nil
	}
	return err
}
