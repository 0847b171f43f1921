package lambda_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// gateway turns requests into events, as one of the services in front of a
// function does, and replies back.
type gateway struct {
	name   string
	event  func(method, path, query, body string, header http.Header) map[string]any
	invoke func(t *testing.T, event []byte) []byte
}

// gateways are the shapes of the three services.
func gateways() []gateway {
	return []gateway{{name: "HTTP API", event: httpAPI}, {name: "REST proxy", event: restProxy}, {name: "function URL", event: functionURL}}
}

// httpAPI is payload 2.0, of a stage that has a name.
func httpAPI(method, path, query, body string, header http.Header) map[string]any {
	e := functionURL(method, "/live"+path, query, body, header)
	e["requestContext"].(map[string]any)["stage"] = "live"
	e["routeKey"] = "ANY /{proxy+}"
	return e
}

// functionURL is payload 2.0, with the body in base64.
func functionURL(method, path, query, body string, header http.Header) map[string]any {
	headers := map[string]string{"host": "id.lambda-url.eu-central-1.on.aws"}
	var cookies []string
	for name, values := range header {
		if name == "Cookie" {
			cookies = values
			continue
		}
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	return map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers, "cookies": cookies,
		"requestContext": map[string]any{
			"stage": "$default", "domainName": "id.lambda-url.eu-central-1.on.aws", "requestId": "r",
			"http": map[string]any{"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
		},
		"body": base64.StdEncoding.EncodeToString([]byte(body)), "isBase64Encoded": true,
	}
}

// restProxy is payload 1.0: parameters come decoded.
func restProxy(method, path, query, body string, header http.Header) map[string]any {
	values, _ := url.ParseQuery(query)
	single, one := map[string]string{}, map[string]string{}
	for name := range values {
		single[name] = values[name][len(values[name])-1]
	}
	for name := range header {
		one[name] = header.Get(name)
	}
	return map[string]any{
		"resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": one, "multiValueHeaders": header,
		"queryStringParameters": single, "multiValueQueryStringParameters": values,
		"requestContext": map[string]any{"stage": "prod", "domainName": "api.example.org", "identity": map[string]any{"sourceIp": "203.0.113.7"}},
		"body":           body, "isBase64Encoded": false,
	}
}

// reply is what a client gets.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do sends a request; header holds pairs of a name and a value.
func (g *gateway) do(t *testing.T, method, target, body string, header ...string) *reply {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	sent := http.Header{}
	for i := 0; i < len(header); i += 2 {
		sent.Add(header[i], header[i+1])
	}
	event, err := json.Marshal(g.event(method, path, query, body, sent))
	if err != nil {
		t.Fatal(err)
	}
	answer := g.invoke(t, event)
	var got struct {
		StatusCode        int
		Headers           map[string]string
		MultiValueHeaders map[string][]string
		Body              string
		IsBase64Encoded   bool
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatalf("%s %s: %v: %s", method, target, err, answer)
	}
	r := &reply{t: t, status: got.StatusCode, header: http.Header{}, body: got.Body}
	for name, value := range got.Headers {
		r.header.Set(name, value)
	}
	for name, values := range got.MultiValueHeaders {
		r.header[http.CanonicalHeaderKey(name)] = values
	}
	if got.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.body = string(decoded)
	}
	return r
}

// must fails the test unless the reply has the status.
func (r *reply) must(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// is fails the test unless the reply is the JSON that is wanted.
func (r *reply) is(status int, want string) *reply {
	r.t.Helper()
	r.must(status)
	var got, wanted any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		r.t.Fatalf("%v: %s", err, r.body)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		r.t.Fatal(err)
	}
	one, _ := json.Marshal(got)
	two, _ := json.Marshal(wanted)
	if string(one) != string(two) {
		r.t.Errorf("the reply is\n%s\nwant\n%s", one, two)
	}
	return r
}

// fails fails the test unless the reply is that error, and says the pieces.
func (r *reply) fails(status int, code string, pieces ...string) *reply {
	r.t.Helper()
	r.must(status)
	var body struct{ Error, Message string }
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || body.Error != code {
		r.t.Errorf("the error is %q, want %s: %s", body.Error, code, r.body)
	}
	for _, piece := range pieces {
		if !strings.Contains(body.Message, piece) {
			r.t.Errorf("the message %q does not contain %q", body.Message, piece)
		}
	}
	return r
}

// patience is how long a test waits for what should come at once.
const patience = time.Minute
