package daybook_test

import (
	"go/ast"
	"go/doc"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// taught are the packages that programs are written with every day: go doc on
// them reads like a tutorial, so everything that can be called has an example.
var taught = []string{"codec", "aggregate", "livestate", "daytest"}

// selfEvident are methods that need no example, by name or as
// "package.Type.Method", each with its reason.
var selfEvident = map[string]string{
	"Error": "of errors", "Unwrap": "of errors", "Is": "of errors", "String": "prints",
	// Codecs call them; ExampleEncoding shows what they do.
	"codec.JSON.ContentType": "of an Encoding", "codec.JSON.Encode": "of an Encoding",
	"codec.JSON.Decode": "of an Encoding", "codec.JSON.DecodeStrict": "of an Encoding",
}

func TestEveryFunctionOfTheTaughtPackagesHasAnExample(t *testing.T) {
	calls, shown := map[string]token.Position{}, map[string]bool{}
	eachFile(t, func(name string, _ []byte, file *ast.File, set *token.FileSet) {
		pkg := filepath.ToSlash(filepath.Dir(name))
		if !slices.Contains(taught, pkg) {
			return
		}
		if strings.HasSuffix(name, "_test.go") {
			for _, example := range doc.Examples(file) {
				if example.Output != "" || example.EmptyOutput { // else it is compiled, and never runs
					shown[pkg+"."+callOf(example.Name)] = true
				}
			}
			return
		}
		for _, declared := range file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok || !function.Name.IsExported() {
				continue
			}
			call := pkg + "." + function.Name.Name
			if function.Recv != nil {
				of := receiver(function)
				if !ast.IsExported(of) || selfEvident[function.Name.Name] != "" {
					continue
				}
				call = pkg + "." + of + "." + function.Name.Name
			}
			calls[call] = set.Position(function.Pos())
		}
	})
	for call, at := range calls {
		switch excused := selfEvident[call] != ""; {
		case !shown[call] && !excused:
			t.Errorf("%s: %s has no example that runs: an Example with an Output in the tests of its package", at, call)
		case shown[call] && excused:
			t.Errorf("%s has an example: take it off the list of those without", call)
		}
	}
	for call := range selfEvident {
		if _, known := calls[call]; strings.Contains(call, ".") && !known {
			t.Errorf("%s is on the list of those without an example, and does not exist", call)
		}
	}
}

// callOf returns what an example is of, by its name without "Example": "Type.Method"
// of "Type_Method_suffix".
func callOf(example string) string {
	parts := strings.Split(example, "_")
	for i, part := range parts {
		if i > 0 && !ast.IsExported(part) {
			parts = parts[:i]
			break
		}
	}
	return strings.Join(parts, ".")
}
