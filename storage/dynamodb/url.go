package dynamodb

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/daybook-go/daybook"
)

// place is what a URL says.
type place struct{ region, table, endpoint string }

// What a region and a table may be called: the service's rules.
var (
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	tableName  = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
)

// parse reads a URL: dynamodb://REGION/TABLE?endpoint=URL. Errors never show
// what may be a secret.
func parse(address string) (place, error) {
	invalid := func(reason string) (place, error) {
		return place{}, &daybook.InvalidError{Field: "store", Value: withoutSecrets(address), Reason: reason}
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "dynamodb" {
		return invalid("must be dynamodb://REGION/TABLE")
	}
	if parsed.User != nil {
		return invalid("must hold no credentials: they come from the environment (AWS_ACCESS_KEY_ID, a profile, a role)")
	}
	p := place{region: parsed.Host, table: strings.TrimPrefix(parsed.Path, "/")}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return invalid("its parameters cannot be read")
	}
	for name, values := range query {
		if name != "endpoint" || len(values) != 1 {
			return invalid(fmt.Sprintf("has the parameter %q: endpoint is the only one, once", name))
		}
		p.endpoint = values[0]
	}
	if p.endpoint != "" {
		endpoint, err := url.Parse(p.endpoint)
		if err != nil || endpoint.Host == "" || endpoint.User != nil || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
			return invalid("its endpoint must be http://HOST or https://HOST, without credentials")
		}
	}
	switch {
	case !regionName.MatchString(p.region):
		return invalid("must name a region: dynamodb://eu-central-1/TABLE")
	case !tableName.MatchString(p.table):
		return invalid("must name a table: 3 to 255 letters, digits, _, - and .")
	}
	return p, nil
}

// withoutSecrets is an address as it may be shown.
func withoutSecrets(address string) string {
	if at := strings.LastIndex(address, "@"); at >= 0 {
		return "dynamodb://xxxxx" + address[at:]
	}
	return address
}

// connect makes the client of a table. Nothing is sent.
func connect(ctx context.Context, address string, options *Options) (*table, error) {
	p, err := parse(address)
	if err != nil {
		return nil, err
	}
	t := &table{name: p.table, options: options.orDefaults()}
	loaded := aws.Config{}
	if t.options.Config != nil {
		loaded = t.options.Config.Copy()
	} else if loaded, err = config.LoadDefaultConfig(ctx, config.WithRegion(p.region)); err != nil {
		return nil, fmt.Errorf("dynamodb: the configuration of the SDK: %w", err)
	}
	loaded.Region = p.region
	if loaded.HTTPClient == nil || t.options.Config == nil {
		loaded.HTTPClient = awshttp.NewBuildableClient().WithTimeout(t.options.RequestTimeout)
	}
	t.client = dynamodb.NewFromConfig(loaded, func(o *dynamodb.Options) {
		if p.endpoint != "" {
			o.BaseEndpoint = aws.String(p.endpoint)
		}
		o.Retryer = retryer(t.options.Attempts)
		o.APIOptions = append(o.APIOptions, t.watch)
	})
	return t, nil
}
