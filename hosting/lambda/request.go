package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// httpEvent is a request over HTTP in the three shapes in which it comes: of an
// HTTP API and a function URL (payload 2.0), and of a REST proxy, or an HTTP API
// that is set so (payload 1.0).
type httpEvent struct {
	Version string `json:"version"`

	RawPath        string            `json:"rawPath"` // 2.0
	RawQueryString string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies"`
	Headers        map[string]string `json:"headers"`

	HTTPMethod   string              `json:"httpMethod"` // 1.0
	Path         string              `json:"path"`
	MultiHeaders map[string][]string `json:"multiValueHeaders"`
	Query        map[string]string   `json:"queryStringParameters"`
	MultiQuery   map[string][]string `json:"multiValueQueryStringParameters"`

	RequestContext struct {
		Stage      string `json:"stage"`
		DomainName string `json:"domainName"`
		HTTP       struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
		Identity struct {
			SourceIP string `json:"sourceIp"`
		} `json:"identity"`
	} `json:"requestContext"`

	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// first reports whether the event is in payload 1.0, and so is its reply.
func (e *httpEvent) first() bool { return e.HTTPMethod != "" }

// request makes a request of the event in payload.
func (f *Function) request(ctx context.Context, payload []byte) (*http.Request, *httpEvent, error) {
	e := new(httpEvent)
	if err := json.Unmarshal(payload, e); err != nil {
		return nil, nil, fmt.Errorf("the event is no request over HTTP: %w", err)
	}
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, nil, fmt.Errorf("the body of the event is not in base64: %w", err)
		}
	}
	method, path, query := e.RequestContext.HTTP.Method, e.RawPath, e.RawQueryString
	if e.first() {
		method, path, query = e.HTTPMethod, e.Path, e.query().Encode()
	} else if stage := e.RequestContext.Stage; stage != "" && stage != "$default" {
		path = below(path, "/"+stage)
	}
	path = escaped(below(path, f.options.BasePath))
	request, err := http.NewRequestWithContext(ctx, method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, nil, err
	}
	request.URL = &url.URL{Path: decoded, RawPath: path, RawQuery: query}
	request.Header = e.header()
	request.Host = request.Header.Get("Host")
	if request.Host == "" {
		request.Host = e.RequestContext.DomainName
	}
	request.Header.Del("Host")
	request.RequestURI = request.URL.RequestURI()
	request.RemoteAddr = e.RequestContext.HTTP.SourceIP
	if e.first() {
		request.RemoteAddr = e.RequestContext.Identity.SourceIP
	}
	return request, e, nil
}

// header returns the header of the event.
func (e *httpEvent) header() http.Header {
	header := http.Header{}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	for name, values := range e.MultiHeaders { // has all that the other has
		header.Del(name)
		for _, value := range values {
			header.Add(name, value)
		}
	}
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	return header
}

// query returns the parameters of an event in payload 1.0, which come decoded.
func (e *httpEvent) query() url.Values {
	values := url.Values{}
	for name, value := range e.Query {
		values.Set(name, value)
	}
	for name, several := range e.MultiQuery {
		values[name] = several
	}
	return values
}

// below returns what stands behind a prefix of a path; the path, where it does
// not stand there.
func below(path, prefix string) string {
	prefix = strings.TrimSuffix(prefix, "/")
	rest, is := strings.CutPrefix(path, prefix)
	if !is || rest != "" && rest[0] != '/' {
		return path
	}
	if rest == "" {
		return "/"
	}
	return rest
}

// escaped returns a path with everything percent-encoded that must be: some
// gateways hand it on as it came, some decoded. A percent sign that begins two
// hexadecimal digits is taken for an encoding.
func escaped(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			out.WriteByte(c)
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/-_.~!$&'()*+,;=:@", c) >= 0:
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
