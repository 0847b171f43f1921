package daybook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// The rules of the house that a machine can check. The exceptions are named
// here, and the lists may only shrink.
const (
	maxFileLines     = 500
	maxFunctionLines = 70
	maxLineLength    = 200
)

// forbiddenWords are parts of exported names that say in another word what
// the house has one word for.
var forbiddenWords = map[string]string{
	"Envelope": "Record", "Revision": "Version", "SequenceNumber": "Version or Position", "Topic": "Stream or Channel",
	"Cursor": "Checkpoint", "Consumer": "Subscription", "Backend": "Driver", "Adapter": "Driver", "Provider": "Driver",
	"Memento": "Snapshot", "ViewModel": "Projection", "Sink": "Channel", "Reservation": "Claim", "ForeignKey": "Reference",
	"ConcurrencyToken": "Expect",
}

// forbiddenPackages are names that say nothing.
var forbiddenPackages = map[string]bool{
	"util": true, "utils": true, "common": true, "base": true, "types": true, "helpers": true, "pkg": true, "misc": true, "shared": true,
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	eachFile(t, func(name string, source []byte, file *ast.File, set *token.FileSet) {
		if ast.IsGenerated(file) {
			return // its sizes are not ours to choose
		}
		lines := strings.Split(string(source), "\n")
		if len(lines) > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: split it where the subject changes", name, len(lines), maxFileLines)
		}
		for i, line := range lines {
			if utf8.RuneCountInString(line) > maxLineLength {
				t.Errorf("%s:%d has %d characters, more than %d", name, i+1, utf8.RuneCountInString(line), maxLineLength)
			}
		}
		for _, declared := range file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			length := set.Position(function.End()).Line - set.Position(function.Pos()).Line + 1
			if length > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", set.Position(function.Pos()), function.Name.Name, length, maxFunctionLines)
			}
		}
	})
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string]int{}
	eachFile(t, func(name string, _ []byte, file *ast.File, _ *token.FileSet) {
		dir := filepath.Dir(name)
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		comments[dir] += 0
		if file.Doc != nil {
			comments[dir]++
		}
		if forbiddenPackages[file.Name.Name] {
			t.Errorf("%s: package %s is named by a word that says nothing", name, file.Name.Name)
		}
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one", dir, n)
		}
	}
}

func TestEveryExportedNameIsDocumentedAndInTheWordsOfTheHouse(t *testing.T) {
	eachFile(t, func(name string, _ []byte, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") || ast.IsGenerated(file) {
			return
		}
		for _, declared := range file.Decls {
			for _, exported := range exportedNames(declared) {
				for word, say := range forbiddenWords {
					if strings.Contains(exported.name, word) {
						t.Errorf("%s: %s: the house says %s", set.Position(exported.pos), exported.name, say)
					}
				}
				if !exported.documented {
					t.Errorf("%s: %s has no comment", set.Position(exported.pos), exported.name)
				}
			}
		}
	})
}

// leaks finds what belongs to one machine and not into a repository.
var leaks = regexp.MustCompile(`(^|[\s"'(=])/(home|root|work|Users)/[a-z]`)

func TestNothingNamesAMachine(t *testing.T) {
	eachFile(t, func(name string, source []byte, _ *ast.File, _ *token.FileSet) {
		for i, line := range strings.Split(string(source), "\n") {
			if leaks.MatchString(line) && name != "tidy_test.go" {
				t.Errorf("%s:%d names a path of one machine: %s", name, i+1, strings.TrimSpace(line))
			}
		}
	})
}

type exportedName struct {
	name       string
	pos        token.Pos
	documented bool
}

// exportedNames returns what a declaration offers to other packages.
func exportedNames(declared ast.Decl) []exportedName {
	var names []exportedName
	add := func(name *ast.Ident, documented bool) {
		if name.IsExported() {
			names = append(names, exportedName{name.Name, name.Pos(), documented})
		}
	}
	switch d := declared.(type) {
	case *ast.FuncDecl:
		wellKnown := d.Name.Name == "Error" || d.Name.Name == "Unwrap"
		if d.Recv == nil || ast.IsExported(receiver(d)) {
			add(d.Name, d.Doc != nil || d.Recv != nil && wellKnown)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				add(s.Name, d.Doc != nil || s.Doc != nil)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					add(name, d.Doc != nil || s.Doc != nil || s.Comment != nil)
				}
			}
		}
	}
	return names
}

// receiver returns the name of the type that a method belongs to.
func receiver(function *ast.FuncDecl) string {
	expression := function.Recv.List[0].Type
	for {
		switch e := expression.(type) {
		case *ast.StarExpr:
			expression = e.X
		case *ast.IndexExpr:
			expression = e.X
		case *ast.IndexListExpr:
			expression = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// eachFile parses every Go file of the module and hands it to look.
func eachFile(t *testing.T, look func(name string, source []byte, file *ast.File, set *token.FileSet)) {
	t.Helper()
	set := token.NewFileSet()
	for _, dir := range packages(t) {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(set, name, source, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			look(name, source, file, set)
		}
	}
}
