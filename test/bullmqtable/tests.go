package bullmqtable

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
)

// interopDir is the directory of the tests that run against versions of BullMQ.
const interopDir = "test/interop"

// Tests knows the tests of a repository, and against which versions of BullMQ
// each of them runs when all of them do (make interop).
type Tests struct {
	tree     fs.FS
	packages map[string]map[string]*ast.FuncDecl // directory to function name
}

// NewTests returns what is known about the tests of the repository.
func NewTests(repository fs.FS) *Tests {
	return &Tests{tree: repository, packages: map[string]map[string]*ast.FuncDecl{}}
}

// Versions returns the versions that the test runs against, none if it has
// nothing to do with Node. The error says that there is no such test.
func (t *Tests) Versions(name TestName) ([]string, error) {
	functions, err := t.functions(name.Dir)
	if err != nil {
		return nil, err
	}
	function := functions[name.Name]
	if function == nil || !isTest(name.Name) {
		return nil, fmt.Errorf("package %s has no %s", name.Dir, name.Name)
	}
	r := &reading{functions: functions, seen: map[string]bool{}}
	r.function(function)
	return r.all(), nil
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Example") || strings.HasPrefix(name, "Fuzz")
}

// functions parses the test files of a directory.
func (t *Tests) functions(dir string) (map[string]*ast.FuncDecl, error) {
	if functions := t.packages[dir]; functions != nil {
		return functions, nil
	}
	files, err := fs.Glob(t.tree, path.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("package %s has no tests", dir)
	}
	functions := map[string]*ast.FuncDecl{}
	for _, file := range files {
		source, err := fs.ReadFile(t.tree, file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
				functions[f.Name.Name] = f
			}
		}
	}
	t.packages[dir] = functions
	return functions, nil
}
