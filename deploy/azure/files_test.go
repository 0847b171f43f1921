// Package azure checks the files for Azure Functions.
package azure_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook/hosting/azurefunctions"
)

func bicep(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("main.bicep")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	declared  = regexp.MustCompile(`(?m)^(?:param|var|resource) ([a-zA-Z]+) `)
	resources = regexp.MustCompile(`(?m)^resource ([a-zA-Z]+) '([A-Za-z.]+(?:/[A-Za-z]+)+)@(\d{4}-\d{2}-\d{2})' = \{$`)
	inText    = regexp.MustCompile(`\$\{([a-zA-Z]+)`)
	asValue   = regexp.MustCompile(`(?m)^\s*(?:parent|scope|location|value|[a-zA-Z]+Id|roleDefinitionId|principalId|WorkspaceResourceId|maximumInstanceCount): ([a-zA-Z]+)(?:\.|$)`)
)

func TestEveryNameThatTheTemplateUsesIsDeclared(t *testing.T) {
	text := bicep(t)
	known := map[string]bool{"environment": true}
	for _, match := range declared.FindAllStringSubmatch(text, -1) {
		if known[match[1]] {
			t.Errorf("%s is declared twice", match[1])
		}
		known[match[1]] = true
	}
	for _, pattern := range []*regexp.Regexp{inText, asValue} {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			if !known[match[1]] && match[1] != "uniqueString" {
				t.Errorf("%s is not declared", match[1])
			}
		}
	}
	for name := range known {
		assignment := strings.Contains(text, "resource "+name+" 'Microsoft.Authorization/") // nothing stands on those
		if name != "environment" && !assignment && strings.Count(text, name) < 2 {
			t.Errorf("%s is not used", name)
		}
	}
	open := []rune{}
	for _, r := range text {
		switch r {
		case '{', '[', '(':
			open = append(open, r)
		case '}', ']', ')':
			if len(open) == 0 || !slices.Contains([]string{"{}", "[]", "()"}, string([]rune{open[len(open)-1], r})) {
				t.Fatalf("a %c closes nothing", r)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%d brackets are not closed", len(open))
	}
}

func TestTheTemplateHasAllThatTheAppNeedsAndNoKeys(t *testing.T) {
	text := bicep(t)
	kinds := map[string]int{}
	for _, match := range resources.FindAllStringSubmatch(text, -1) {
		kinds[match[2]]++
	}
	for kind, n := range map[string]int{
		"Microsoft.Storage/storageAccounts": 1, "Microsoft.Storage/storageAccounts/tableServices/tables": 1, "Microsoft.Web/serverfarms": 1,
		"Microsoft.Web/sites": 1, "Microsoft.Authorization/roleAssignments": 2, "Microsoft.Insights/components": 1,
	} {
		if kinds[kind] != n {
			t.Errorf("there are %d of %s, want %d", kinds[kind], kind, n)
		}
	}
	for _, line := range []string{
		"allowSharedKeyAccess: false", "allowBlobPublicAccess: false", "httpsOnly: true", "alwaysReady: []", "name: 'FC1'", "name: 'custom'",
		"type: 'SystemAssigned'", "name: 'DAYBOOK_STORE'", "value: 'azuretable://${account.name}.table.${environment().suffixes.storage}/${tableName}'",
		"roleDefinitions', tableDataContributor)", "roleDefinitions', blobDataOwner)",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the template does not say %q", line)
		}
	}
	for _, never := range []string{"listKeys", "AccountKey", "@secure", "Owner'", "scope: subscription"} {
		if strings.Contains(text, never) {
			t.Errorf("the template says %q", never)
		}
	}
}

func TestTheHostForwardsEveryRequestToTheProgram(t *testing.T) {
	var host struct {
		Version    string
		Extensions struct {
			HTTP struct{ RoutePrefix *string }
		}
		CustomHandler struct {
			Description struct {
				DefaultExecutablePath string
				Arguments             []string
			}
			EnableForwardingHTTPRequest bool `json:"enableForwardingHttpRequest"`
		}
	}
	load(t, "app/host.json", &host)
	handler := host.CustomHandler
	if host.Version != "2.0" || !handler.EnableForwardingHTTPRequest || handler.Description.DefaultExecutablePath != "daybook" ||
		!slices.Equal(handler.Description.Arguments, []string{"azure-functions"}) {
		t.Errorf("host.json says %+v", host)
	}
	if prefix := host.Extensions.HTTP.RoutePrefix; prefix == nil || *prefix != (azurefunctions.Options{}).Prefix {
		t.Error("host.json and the program do not agree on the prefix of routes")
	}
	names, err := filepath.Glob("app/*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]string{}
	for _, name := range names {
		var function struct {
			Bindings []struct {
				Type, Direction, AuthLevel, Route string
				Methods                           []string
			}
		}
		load(t, name, &function)
		// The host forwards requests only of functions that have these two.
		if len(function.Bindings) != 2 || function.Bindings[0].Type != "httpTrigger" || function.Bindings[1].Type != "http" || function.Bindings[1].Direction != "out" {
			t.Fatalf("%s has the bindings %+v", name, function.Bindings)
		}
		in := function.Bindings[0]
		if in.AuthLevel != "function" || !slices.Equal(in.Methods, []string{"get", "head", "post", "delete"}) {
			t.Errorf("%s lets in %v with %q", name, in.Methods, in.AuthLevel)
		}
		routes[filepath.Base(filepath.Dir(name))] = in.Route
	}
	if len(routes) != 2 || routes["store"] != "{*path}" || routes["entities"] != "entities/{domain}/{type}/{*rest}" {
		t.Errorf("the routes are %v", routes)
	}
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
