package httpapi_test

import (
	"bufio"
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the OpenAPI document, which every reply in the tests of this
// package is held against.
var document = func() *openapi3.T {
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		panic(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		panic(err)
	}
	return document
}()

// seen holds which status of which operation the tests have met.
var seen = struct {
	sync.Mutex
	replies map[string]bool
}{replies: map[string]bool{}}

// TestMain fails a full run that has not met every reply that the document
// promises.
func TestMain(m *testing.M) {
	code := m.Run()
	whole := true
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list"} {
		whole = whole && flag.Lookup(name).Value.String() == ""
	}
	if code == 0 && whole {
		for _, promised := range promises() {
			if !seen.replies[promised] {
				fmt.Println("openapi.json promises a reply that no test has met:", promised)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// promises returns each operation and status of the document.
func promises() []string {
	var all []string
	for _, path := range slices.Sorted(maps.Keys(document.Paths.Map())) {
		for method, operation := range document.Paths.Value(path).Operations() {
			for status := range operation.Responses.Map() {
				all = append(all, method+" "+path+" "+status)
			}
		}
	}
	slices.Sort(all)
	return all
}

func TestTheOpenAPIDocumentIsValid(t *testing.T) {
	if err := document.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
}

// checkedTransport holds each reply against the document.
type checkedTransport struct {
	t    *testing.T
	next http.RoundTripper
}

func (c *checkedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	reply, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	fail := func(format string, args ...any) {
		c.t.Errorf("%s %s answered %d, but %s", r.Method, r.URL, reply.StatusCode, fmt.Sprintf(format, args...))
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := reply.Header.Get(name); got != want {
			fail("the header %s is %q, not %q", name, got, want)
		}
	}
	if reply.Header.Get("X-Request-Id") == "" {
		fail("it has no X-Request-Id")
	}
	path, item := find(r.URL.EscapedPath())
	switch {
	case item == nil && reply.StatusCode != http.StatusNotFound:
		fail("the path is not in the document")
	case item == nil:
	case item.GetOperation(r.Method) == nil:
		if reply.StatusCode != http.StatusMethodNotAllowed {
			fail("the method is not in the document")
		}
	default:
		c.check(r, reply, path, item.GetOperation(r.Method), fail)
	}
	return reply, nil
}

// check holds a reply against an operation.
func (c *checkedTransport) check(r *http.Request, reply *http.Response, path string, operation *openapi3.Operation, fail func(string, ...any)) {
	status := strconv.Itoa(reply.StatusCode)
	promised := operation.Responses.Value(status)
	if promised == nil {
		fail("that status is not in the document")
		return
	}
	seen.Lock()
	seen.replies[r.Method+" "+path+" "+status] = true
	seen.Unlock()
	if r.Method == http.MethodHead {
		return
	}
	media, _, err := mime.ParseMediaType(reply.Header.Get("Content-Type"))
	promisedType := promised.Value.Content.Get(media)
	if err != nil || promisedType == nil {
		fail("the content type %q is not in the document", media)
		return
	}
	switch media {
	case "application/json":
		body, err := io.ReadAll(reply.Body)
		reply.Body.Close()
		reply.Body = io.NopCloser(bytes.NewReader(body))
		if err != nil {
			reply.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
			return
		}
		schema, named := strings.CutPrefix(promisedType.Schema.Ref, "#/components/schemas/")
		if !named {
			return // the document itself
		}
		if err := conforms(schema, body); err != nil {
			fail("the body is not as the document says: %v\n%.2000s", err, body)
		}
	case "application/x-ndjson":
		reply.Body = watch(reply.Body, func(line string) {
			schema := cmp.Or(map[string]string{"/heads": "Head", "/deletions": "Deletion"}[path], "Record")
			if strings.HasPrefix(line, `{"error"`) {
				schema = "Error"
			}
			if err := conforms(schema, []byte(line)); err != nil {
				fail("a line is not a %s as the document says: %v\n%s", schema, err, line)
			}
		})
	case "text/event-stream":
		reply.Body = watch(reply.Body, func(line string) {
			data, given := strings.CutPrefix(line, "data: ")
			if !given || strings.HasPrefix(data, `{"reason"`) {
				return
			}
			schema := "Record"
			if strings.HasPrefix(data, `{"error"`) {
				schema = "Error"
			}
			if err := conforms(schema, []byte(data)); err != nil {
				fail("the data is not a %s as the document says: %v\n%s", schema, err, data)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// find returns the path of the document that a request's path is one of.
func find(escaped string) (string, *openapi3.PathItem) {
	parts := strings.Split(escaped, "/")
	for path, item := range document.Paths.Map() {
		pattern := strings.Split(path, "/")
		matches := len(pattern) == len(parts)
		for i := 0; matches && i < len(parts); i++ {
			matches = pattern[i] == "{stream_id}" || strings.EqualFold(pattern[i], parts[i])
		}
		if matches {
			return path, item
		}
	}
	return "", nil
}

// schemas are the compiled schemas of the document. The package that reads the
// document would check them by rules of older drafts besides.
var schemas = func() map[string]*jsonschema.Schema {
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		panic(err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", resource); err != nil {
		panic(err)
	}
	compiled := map[string]*jsonschema.Schema{}
	for name := range document.Components.Schemas {
		compiled[name] = compiler.MustCompile("openapi.json#/components/schemas/" + name)
	}
	return compiled
}()

func conforms(schema string, data []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schemas[schema].Validate(value)
}

// watch passes a body on and shows its first lines to look, and the last.
func watch(body io.ReadCloser, look func(line string)) io.ReadCloser {
	const most = 20
	reader, writer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewReader(reader)
		line, last := "", ""
		for n := 0; ; n++ {
			var err error
			if line, err = lines.ReadString('\n'); err != nil {
				break
			}
			if last = strings.TrimSuffix(line, "\n"); last != "" && n < most {
				look(last)
				last = ""
			}
		}
		if last != "" {
			look(last)
		}
		io.Copy(io.Discard, reader)
	}()
	return &watched{body: body, copied: writer, done: done}
}

type watched struct {
	body   io.ReadCloser
	copied *io.PipeWriter
	done   chan struct{}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	w.copied.Write(p[:n])
	return n, err
}

func (w *watched) Close() error {
	w.copied.Close()
	<-w.done
	return w.body.Close()
}
