package parity

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

var (
	requirePattern = regexp.MustCompile(`^(?:require )?(\S+\.\S+/\S+) v\S+( // indirect)?$`)
	modulePattern  = regexp.MustCompile("^`([^`]+)`$")
)

// Dependencies checks that the tables of the document at path, whose first column is a module, have exactly one row
// for each module that go.mod requires directly, tools included, and none for another.
func Dependencies(tree fs.FS, path string) ([]Problem, error) {
	gomod, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		return nil, err
	}
	document, err := fs.ReadFile(tree, path)
	if err != nil {
		return nil, err
	}
	direct := directRequires(string(gomod))
	var problems []Problem
	seen := map[string]bool{}
	for _, t := range tables(string(document)) {
		for _, r := range t.rows {
			m := modulePattern.FindStringSubmatch(r.cells[0])
			switch {
			case m == nil:
				problems = append(problems, Problem{path, r.line, fmt.Sprintf("%q is not a module in code quotes", r.cells[0])})
			case seen[m[1]]:
				problems = append(problems, Problem{path, r.line, m[1] + " has two rows"})
			case !slices.Contains(direct, m[1]):
				problems = append(problems, Problem{path, r.line, m[1] + " is not a direct dependency of go.mod"})
			}
			if m != nil {
				seen[m[1]] = true
			}
		}
	}
	for _, module := range direct {
		if !seen[module] {
			problems = append(problems, Problem{File: path, Text: "no row for " + module})
		}
	}
	return problems, nil
}

// directRequires lists the modules required without the mark "indirect", and those whose commands are tools.
func directRequires(gomod string) []string {
	var direct, tools []string
	indirect := map[string]bool{}
	inTools := false
	for line := range strings.Lines(gomod) {
		line = strings.TrimSpace(line)
		switch {
		case line == "tool (":
			inTools = true
		case line == ")":
			inTools = false
		case inTools:
			tools = append(tools, line)
		case strings.HasPrefix(line, "tool "):
			tools = append(tools, strings.TrimPrefix(line, "tool "))
		}
		if m := requirePattern.FindStringSubmatch(line); m != nil {
			indirect[m[1]] = m[2] != ""
		}
	}
	for module, isIndirect := range indirect {
		isTool := slices.ContainsFunc(tools, func(tool string) bool { return strings.HasPrefix(tool, module+"/") })
		if !isIndirect || isTool {
			direct = append(direct, module)
		}
	}
	slices.Sort(direct)
	return direct
}
