package lambda_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runtimeAPI is the side of Lambda that hands events to a function and takes
// its answers.
type runtimeAPI struct {
	server *httptest.Server
	events chan invocation
	asked  chan struct{} // is closed when the function asks for its first event

	mu      sync.Mutex
	waiting map[string]invocation
	count   int
	once    sync.Once
}

type invocation struct {
	event  []byte
	answer chan answer
}

type answer struct {
	body   []byte
	failed bool
}

func serveRuntime(t *testing.T) *runtimeAPI {
	t.Helper()
	r := &runtimeAPI{events: make(chan invocation), asked: make(chan struct{}), waiting: map[string]invocation{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", r.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{outcome}", r.take)
	r.server = httptest.NewServer(mux)
	t.Cleanup(r.server.Close)
	return r
}

func (r *runtimeAPI) next(w http.ResponseWriter, request *http.Request) {
	r.once.Do(func() { close(r.asked) })
	select {
	case i := <-r.events:
		r.mu.Lock()
		r.count++
		id := fmt.Sprintf("request-%d", r.count)
		r.waiting[id] = i
		r.mu.Unlock()
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(patience).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:000000000000:function:daybook")
		_, _ = w.Write(i.event)
	case <-request.Context().Done():
	}
}

func (r *runtimeAPI) take(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	i, known := r.waiting[request.PathValue("id")]
	delete(r.waiting, request.PathValue("id"))
	r.mu.Unlock()
	if err != nil || !known {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	i.answer <- answer{body, request.PathValue("outcome") == "error"}
}

// invoke hands an event to the function and returns its answer.
func (r *runtimeAPI) invoke(t *testing.T, event []byte) answer {
	t.Helper()
	i := invocation{event, make(chan answer, 1)}
	timeout := time.After(patience)
	select {
	case r.events <- i:
	case <-timeout:
		t.Fatal("the function does not ask for an event")
	}
	select {
	case a := <-i.answer:
		return a
	case <-timeout:
		t.Fatal("the function does not answer")
	}
	return answer{}
}

// built is the program as it is shipped, under the name that Lambda wants.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "daybook-lambda-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bootstrap")
	out, err := exec.Command("go", "build", "-o", path, "github.com/daybook-go/daybook/cmd/daybook").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// launch starts the program behind a runtime. It ends with the test.
func launch(t *testing.T, environment ...string) *runtimeAPI {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	r := serveRuntime(t)
	command := exec.Command(path)
	command.Env = append(withoutOurs(os.Environ()), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(r.server.URL, "http://"), "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s", "AWS_EC2_METADATA_DISABLED=true")
	command.Env = append(command.Env, environment...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	start := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = command.Process.Kill()
			t.Error("the function does not end")
		}
		if t.Failed() {
			t.Logf("the function has said:\n%s", &output)
		}
	})
	select {
	case <-r.asked:
		t.Logf("from the start to the first question for an event: %v", time.Since(start).Round(time.Millisecond))
		version, err := json.Marshal(functionURL("GET", "/version", "", "", nil))
		if err != nil {
			t.Fatal(err)
		}
		r.invoke(t, version)
		t.Logf("from the start to the first answer: %v", time.Since(start).Round(time.Millisecond))
	case err := <-ended:
		ended <- err
		t.Fatalf("the function ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the function does not start")
	}
	return r
}

// withoutOurs is an environment without what configures the program.
func withoutOurs(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(pair string) bool {
		return strings.HasPrefix(pair, "DAYBOOK_") || strings.HasPrefix(pair, "AWS_")
	})
}

// gateways are those before the function.
func (r *runtimeAPI) gateways() []gateway {
	all := gateways()
	for i := range all {
		all[i].invoke = func(t *testing.T, event []byte) []byte {
			t.Helper()
			a := r.invoke(t, event)
			if a.failed {
				t.Fatalf("the function failed: %s", a.body)
			}
			return a.body
		}
	}
	return all
}
