package parity

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Sleeps reports the test files that sleep in real time: those that call time.Sleep and do not import
// testing/synctest, whose bubbles make sleeping free and exact.
func Sleeps(tree fs.FS) ([]Problem, error) {
	var problems []Problem
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "testdata"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path.Base(name), "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		lines, err := sleeps(name, source)
		for _, line := range lines {
			problems = append(problems, Problem{name, line, "time.Sleep outside testing/synctest: wait for the event itself"})
		}
		return err
	})
	return problems, err
}

// sleeps gives the lines of a test file that sleep, or none if the file works in synctest bubbles.
func sleeps(name string, source []byte) ([]int, error) {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("look for sleeps: %w", err)
	}
	bubbles := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
	if bubbles {
		return nil, nil
	}
	var lines []int
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if ok && call.Sel.Name == "Sleep" {
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" {
				lines = append(lines, positions.Position(call.Pos()).Line)
			}
		}
		return true
	})
	return lines, nil
}
