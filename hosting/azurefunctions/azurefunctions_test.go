package azurefunctions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/hosting/azurefunctions"
	"github.com/daybook-go/daybook/storage/memory"
)

// ask sends a request and returns the status and the body of the reply.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func TestAnEntityIsTheStreamThatItsRouteNames(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	for _, prefix := range []string{"", "/api"} {
		server := httptest.NewServer(azurefunctions.Handler(store, &azurefunctions.Options{Prefix: strings.Trim(prefix, "/")}))
		defer server.Close()
		key := "A-1" + strings.TrimPrefix(prefix, "/")
		entity := server.URL + prefix + "/entities/Bank.Retail/Account/" + key
		for _, step := range []struct {
			method, url, body string
			status            int
			piece             string
		}{
			{"GET", entity, "", 404, "STREAM_NOT_FOUND"},
			{"POST", entity, `{"events":[{"type":"opened"}]}`, 200, `"changeset_id": 1`},
			{"POST", entity, `{"events":[{"type":"opened"}]}`, 409, "forthcoming_changesets"},
			{"POST", entity + "?expected_last_event=1", `{"events":[{"type":"paid","amount":5}]}`, 200, `"changeset_id": 2`},
			{"GET", entity + "/events?from=2", "", 200, `"amount": 5`},
			{"GET", entity + "/changesets", "", 200, `"partition": "Bank.Retail"`},
			{"GET", entity + "/records?format=sse", "", 400, "json, ndjson"},
			{"GET", entity, "", 200, `"version":2`},
			{"GET", server.URL + prefix + "/Entities/Bank.Retail/Account", "", 200, `"stream_id":"Account-` + key + `"`},
			{"GET", server.URL + prefix + "/streams/Account-" + key + "/events?partition=Bank.Retail", "", 200, `"opened"`},
			{"GET", server.URL + prefix + "/entities/Bank.Retail/Account/a%2Fb", "", 404, `Account-a/b`},
			{"GET", entity + "?partition=other", "", 400, "partition is not a parameter"},
			{"GET", server.URL + prefix + "/entities//Account/1", "", 400, "the domain is missing"},
			{"GET", server.URL + prefix + "/entities/Bank/Acc-ount/1", "", 400, "must not contain"},
			{"GET", server.URL + prefix + "/entities/Bank", "", 404, "no such endpoint"},
			{"GET", server.URL + prefix + "/healthz", "", 200, ""},
		} {
			status, body := ask(t, step.method, step.url, step.body)
			if status != step.status || !strings.Contains(body, step.piece) {
				t.Errorf("%s %s: %d %s, want %d with %q", step.method, step.url, status, body, step.status, step.piece)
			}
		}
		head, err := store.Head(t.Context(), daybook.StreamID{Partition: "Bank.Retail", Name: "Account-" + key})
		if err != nil || head.Version != 2 {
			t.Errorf("the stream ends at %+v, %v", head, err)
		}
	}
}

func TestTheHostMustNameThePort(t *testing.T) {
	for _, port := range []string{"", "x", "0", "70000", "-1"} {
		if listener, err := azurefunctions.Listen(t.Context(), port); err == nil {
			listener.Close()
			t.Errorf("%q was taken for a port", port)
		}
	}
}

// The host starts the program with the port in the environment, forwards
// requests to it once it listens, and stops it when none have come for a while.
// What was stored is there when it starts it again.
func TestTheShippedProgramServesTheHost(t *testing.T) {
	program := filepath.Join(t.TempDir(), "daybook")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/daybook-go/daybook/cmd/daybook").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	settings := hostSettings(t)
	if settings.CustomHandler.Description.DefaultExecutablePath != "daybook" || !settings.CustomHandler.EnableForwardingHTTPRequest {
		t.Fatalf("host.json says %+v", settings.CustomHandler)
	}
	store := "file:" + t.TempDir()
	for start := range 2 {
		url, stop := startHost(t, program, settings.CustomHandler.Description.Arguments, store)
		body := fmt.Sprintf(`{"events":[{"type":"opened","start":%d}]}`, start)
		status, reply := ask(t, "POST", fmt.Sprintf("%s/entities/Bank/Account/1?expected_last_event=%d", url, start), body)
		if status != 200 || !strings.Contains(reply, fmt.Sprintf(`"changeset_id": %d`, start+1)) {
			t.Errorf("start %d: %d %s", start, status, reply)
		}
		stop()
	}
}

// settings are what host.json says.
type settings struct {
	CustomHandler struct {
		Description struct {
			DefaultExecutablePath string
			Arguments             []string
		}
		EnableForwardingHTTPRequest bool `json:"enableForwardingHttpRequest"`
	}
}

func hostSettings(t *testing.T) settings {
	t.Helper()
	data, err := os.ReadFile("../../deploy/azure/app/host.json")
	if err != nil {
		t.Fatal(err)
	}
	var s settings
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// startHost starts the program as the host does and returns where it answers.
func startHost(t *testing.T, program string, arguments []string, store string) (url string, stop func()) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), "DAYBOOK_STORE="+store, azurefunctions.PortVariable+"="+port)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	start := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	url = "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; {
		response, err := http.Get(url + "/healthz")
		if err == nil {
			response.Body.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the program ended: %v: %s", err, &output)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the program does not listen: %v", err)
		}
	}
	t.Logf("from the start to the first answer: %v", time.Since(start).Round(time.Millisecond))
	return url, func() {
		t.Helper()
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the program ended with %v: %s", err, &output)
			}
		case <-time.After(time.Minute):
			_ = command.Process.Kill()
			t.Error("the program does not end")
		}
	}
}
