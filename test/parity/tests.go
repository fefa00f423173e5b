package parity

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
)

// testIndex knows the test, example and fuzz functions of the packages it was asked about.
type testIndex struct {
	tree     fs.FS
	packages map[string]map[string]bool // directory to function names
}

func newTestIndex(tree fs.FS) testIndex {
	return testIndex{tree: tree, packages: map[string]map[string]bool{}}
}

// find tells whether the package in directory dir has a test function of that name; nil means yes.
func (t testIndex) find(dir, name string) error {
	names, known := t.packages[dir]
	if !known {
		var err error
		if names, err = testFunctions(t.tree, dir); err != nil {
			return err
		}
		t.packages[dir] = names
	}
	if !names[name] {
		return fmt.Errorf("package %s has no %s", dir, name)
	}
	return nil
}

// testFunctions parses the test files of one directory. A function counts only if go test would run it, which
// leaves out methods and functions in other files.
func testFunctions(tree fs.FS, dir string) (map[string]bool, error) {
	files, err := fs.ReadDir(tree, dir)
	if err != nil {
		return nil, fmt.Errorf("package %s does not exist", dir)
	}
	names := map[string]bool{}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		source, err := fs.ReadFile(tree, path.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), source, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", dir, err)
		}
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names, nil
}
