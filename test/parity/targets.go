package parity

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

var (
	targetPattern  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	commandPattern = regexp.MustCompile(`^\s*(?:\$ )?(?:\w+=\S+ )*make((?: +[a-z][a-z-]*)+)`)
)

// Targets checks that every make target named in the documents, in a code span or at the start of a line of a
// fenced block, exists in the Makefile.
func Targets(tree fs.FS, documents []string) ([]Problem, error) {
	makefile, err := fs.ReadFile(tree, "Makefile")
	if err != nil {
		return nil, err
	}
	targets := map[string]bool{}
	for _, m := range targetPattern.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	var problems []Problem
	for _, name := range documents {
		document, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		for _, l := range textLines(string(document)) {
			for _, target := range namedTargets(l) {
				if !targets[target] {
					problems = append(problems, Problem{name, l.number, fmt.Sprintf("make %s: no such target", target)})
				}
			}
		}
	}
	return problems, nil
}

// namedTargets gives the targets of the make commands in one line.
func namedTargets(l textLine) []string {
	commands := []string{l.text}
	if !l.fenced {
		commands = codeSpan.FindAllString(l.text, -1)
	}
	var found []string
	for _, c := range commands {
		if m := commandPattern.FindStringSubmatch(strings.Trim(c, "`")); m != nil {
			found = append(found, strings.Fields(m[1])...)
		}
	}
	return found
}
