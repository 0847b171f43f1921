package daybook_test

import (
	"bytes"
	"go/build"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/daybook-go/daybook"

// arrows says who may import whom: a package of ours, by its path below the
// module, and the packages it may import. Of our own they are named by path
// ("." is the root, "storage/*" any driver), of others by their module. The
// standard library is free; what is not listed is forbidden. Adding an arrow
// is a decision: say why in docs/decisions.
var arrows = map[string][]string{
	".":                          {"github.com/google/uuid"},
	"internal/wire":              {"."},
	"internal/durable":           {"golang.org/x/sys"},
	"internal/durable/simulated": {"internal/durable"}, // a tool of tests
	"verify":                     {"."},
	"codec":                      {".", "internal/jsonform"},
	"httpapi":                    {".", "internal/wire"},
	"daytest":                    {".", "codec", "aggregate", "livestate"}, // those two in its tests
	"storage":                    {},                                       // the table of its README
	"storage/memory":             {"."},
	"internal/globalorder":       {"."},
	"internal/logindex":          {"."},
	"storage/disk":               {".", "internal/durable", "internal/logindex"},
	"internal/sqlstore":          {"."},
	"storage/postgres":           {".", "internal/sqlstore", "github.com/jackc/pgx/v5"},
	"storage/sqlserver":          {".", "internal/sqlstore", "github.com/microsoft/go-mssqldb"},
	"storage/azuretable":         {".", "internal/globalorder", "github.com/Azure/azure-sdk-for-go/sdk", "github.com/google/uuid"},
	"storage/azureblob":          {".", "internal/durable", "github.com/google/uuid", "github.com/Azure/azure-sdk-for-go/sdk"},
	"storage/azureblob/snapshot": {".", "livestate", "codec", "github.com/Azure/azure-sdk-for-go/sdk"}, // codec in its tests
	"storage/dynamodb": {
		".", "internal/globalorder", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "golang.org/x/sync",
	},
	"storage/remote":         {".", "internal/wire", "github.com/google/uuid"},
	"storage/router":         {"."},
	"storage/azurefunctions": {".", "github.com/Azure/azure-sdk-for-go", "github.com/google/uuid"},
	"storage/storagetest":    {".", "storage/memory", "verify", "github.com/anishathalye/porcupine", "github.com/google/uuid", "golang.org/x/sync"},
	"internal/deciding":      {"."},
	"internal/jsonform":      {},
	"aggregate":              {".", "codec", "internal/deciding", "internal/jsonform"},
	"livestate":              {".", "codec", "internal/deciding", "internal/durable", "internal/jsonform"},
	"cmd/*":                  {"*"},
	"examples/*":             {"*"},
	"channel":                {"."},
	"channel/sns":            {".", "internal/wire", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"},
	"hosting/*":              {"*"},
	"deploy/*":               {"*"}, // tests of templates
	"storage/cosmos": {
		".", "github.com/Azure/azure-sdk-for-go/sdk/azcore", "github.com/Azure/azure-sdk-for-go/sdk/azidentity",
		"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos", "github.com/google/uuid",
	},
}

// testArrows may be imported by every test besides.
var testArrows = []string{
	".", "storage/memory", "storage/storagetest", "verify", "internal/wire", "httpapi", "internal/durable/simulated",
	"github.com/google/uuid", "github.com/anishathalye/porcupine", "github.com/getkin/kin-openapi", "github.com/santhosh-tekuri/jsonschema",
	"github.com/rogpeppe/go-internal", "golang.org/x/sync",
}

func TestEveryImportIsAnAllowedArrow(t *testing.T) {
	for _, dir := range packages(t) {
		pkg, err := build.ImportDir(filepath.FromSlash(dir), 0)
		if _, none := err.(*build.NoGoError); none {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		allowed, listed := allowedFor(dir)
		if !listed {
			t.Errorf("package %s has no row in the table of arrows", dir)
			continue
		}
		for _, imported := range pkg.Imports {
			if !isAllowed(imported, allowed) {
				t.Errorf("package %s may not import %s", dir, imported)
			}
		}
		for _, imported := range slices.Concat(pkg.TestImports, pkg.XTestImports) {
			if !isAllowed(imported, slices.Concat(allowed, testArrows, []string{dir})) {
				t.Errorf("the tests of package %s may not import %s", dir, imported)
			}
		}
	}
}

func TestTheRootDependsOnNothingButTheStandardLibraryAndTheIDPackage(t *testing.T) {
	command := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if want := []string{module, "github.com/google/uuid"}; !slices.Equal(got, want) {
		t.Errorf("the root depends on %v, want %v: whoever imports a word of ours imports all of that", got, want)
	}
}

func TestOnlyTheSuiteAndTestsImportTesting(t *testing.T) {
	for _, dir := range packages(t) {
		pkg, err := build.ImportDir(filepath.FromSlash(dir), 0)
		if err == nil && dir != "storage/storagetest" && slices.Contains(pkg.Imports, "testing") {
			t.Errorf("package %s imports testing, which then is linked into users' programs", dir)
		}
	}
}

// packages returns the directories of the module that hold Go files.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (entry.Name() == "testdata" || entry.Name() == "bin" || entry.Name()[0] == '.' || entry.Name()[0] == '_') {
				return filepath.SkipDir
			}
			if name != "." {
				if nested, _ := filepath.Glob(filepath.Join(name, "go.mod")); nested != nil {
					return filepath.SkipDir
				}
			}
			return nil
		}
		if dir := path.Dir(filepath.ToSlash(name)); strings.HasSuffix(name, ".go") && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// allowedFor returns the row of the table for a package.
func allowedFor(dir string) ([]string, bool) {
	if row, ok := arrows[dir]; ok {
		return row, true
	}
	for pattern, row := range arrows {
		if above, ok := strings.CutSuffix(pattern, "/*"); ok && strings.HasPrefix(dir, above+"/") {
			return row, true
		}
	}
	return nil, false
}

func isAllowed(imported string, allowed []string) bool {
	own := imported == module || strings.HasPrefix(imported, module+"/")
	if first, _, _ := strings.Cut(imported, "/"); !own && !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(allowed, func(row string) bool {
		switch {
		case row == "*":
			return true
		case row == ".":
			return imported == module
		case strings.Contains(strings.SplitN(row, "/", 2)[0], "."):
			return imported == row || strings.HasPrefix(imported, row+"/")
		default:
			return imported == module+"/"+row
		}
	})
}
