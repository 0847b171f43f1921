package cosmos

import (
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/daybook-go/daybook"
)

// place says where a store is and who asks for it.
type place struct {
	endpoint            string
	key                 string // "" is the identity of the environment
	database, container string
}

// parseURL reads one of the two forms of a URL.
func parseURL(address string) (place, error) {
	if strings.HasPrefix(address, "cosmos://") {
		return parseHost(address)
	}
	rest, ok := strings.CutPrefix(address, "cosmos:")
	if !ok {
		return place{}, badURL("it does not begin with cosmos:")
	}
	var p place
	fields := map[string]*string{
		"accountendpoint": &p.endpoint, "accountkey": &p.key, "database": &p.database, "container": &p.container,
	}
	for part := range strings.SplitSeq(rest, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		field := fields[strings.ToLower(strings.TrimSpace(name))]
		if !ok || field == nil {
			return place{}, badURL("it has a part that is none of AccountEndpoint, AccountKey, Database and Container")
		}
		*field = strings.TrimSpace(value)
	}
	return p, p.check()
}

// parseHost reads cosmos://ACCOUNT.documents.azure.com/DATABASE/CONTAINER.
func parseHost(address string) (place, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return place{}, badURL("it cannot be read")
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return place{}, badURL("only the host, the database and the container may be in it")
	}
	names := strings.Split(strings.Trim(parsed.Path, "/"), "/")
	if parsed.Host == "" || len(names) != 2 {
		return place{}, badURL("it names no host, database and container")
	}
	p := place{endpoint: "https://" + parsed.Host + "/", database: names[0], container: names[1]}
	return p, p.check()
}

// check returns what a place lacks.
func (p *place) check() error {
	endpoint, err := url.Parse(p.endpoint)
	switch {
	case p.endpoint == "":
		return badURL("it lacks AccountEndpoint")
	case err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http":
		return badURL("AccountEndpoint is not the URL of an account")
	case p.database == "":
		return badURL("it lacks Database")
	case p.container == "":
		return badURL("it lacks Container")
	case strings.ContainsAny(p.database+p.container, "/\\?#"):
		return badURL("Database and Container must not hold any of / \\ ? #")
	}
	return nil
}

// client makes the client of the account.
func (p *place) client(options *azcosmos.ClientOptions) (*azcosmos.Client, error) {
	if p.key == "" {
		identity, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options.ClientOptions})
		if err != nil {
			return nil, err
		}
		return azcosmos.NewClient(p.endpoint, identity, options)
	}
	key, err := azcosmos.NewKeyCredential(p.key)
	if err != nil {
		return nil, badURL("AccountKey is not one: it is written in base64")
	}
	return azcosmos.NewClientWithKey(p.endpoint, key, options)
}

// badURL says what is wrong with a URL, without the key in it.
func badURL(reason string) error {
	return &daybook.InvalidError{
		Field: "url", Value: "not a Cosmos URL",
		Reason: "must be like cosmos:AccountEndpoint=https://…;AccountKey=…;Database=…;Container=… or cosmos://ACCOUNT.documents.azure.com/DATABASE/CONTAINER: " + reason,
	}
}
