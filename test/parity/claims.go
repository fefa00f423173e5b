package parity

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// The parity document is a list of tables with the columns id, behaviour and proof, and one section that lists the
// later work by name.
const (
	laterHeading = "Later work"
	laterPrefix  = "later:"
)

var (
	idPattern    = regexp.MustCompile(`^P-\d{2,3}$`)
	proofPattern = regexp.MustCompile("`([\\w./-]+) ((?:Test|Example|Fuzz)\\w*)(?:/\\S+)?`")
)

// Claims checks the parity document at path. Every row has an id of its own, a behaviour, and either at least one
// test that exists in tree or the name of later work that the document lists.
// The error is about reading the document; what it says wrong is in the problems.
func Claims(tree fs.FS, path string) ([]Problem, error) {
	document, err := fs.ReadFile(tree, path)
	if err != nil {
		return nil, err
	}
	all := tables(string(document))
	c := claims{path: path, tests: newTestIndex(tree), later: subjects(all), waiting: map[string]bool{}, ids: map[string]int{}}
	for _, t := range all {
		if t.heading == laterHeading {
			continue
		}
		for _, r := range t.rows {
			c.row(r)
		}
	}
	if len(c.ids) == 0 {
		c.report(0, "has no rows")
	}
	for subject, line := range c.later {
		if !c.waiting[subject] {
			c.report(line, "no row waits for %q any more: remove it from %q", subject, laterHeading)
		}
	}
	return c.problems, nil
}

// subjects reads the later work that rows may name: the first column of the table below its heading.
func subjects(all []table) map[string]int {
	found := map[string]int{}
	for _, t := range all {
		if t.heading != laterHeading {
			continue
		}
		for _, r := range t.rows {
			found[r.cells[0]] = r.line
		}
	}
	return found
}

type claims struct {
	path     string
	tests    testIndex
	later    map[string]int  // subject to its line
	waiting  map[string]bool // subjects that some row names
	ids      map[string]int  // id to its line
	problems []Problem
}

func (c *claims) report(line int, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: c.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

func (c *claims) row(r row) {
	if len(r.cells) != 3 {
		c.report(r.line, "row has %d cells, want id, behaviour and proof", len(r.cells))
		return
	}
	id, behaviour, proof := r.cells[0], r.cells[1], r.cells[2]
	if !idPattern.MatchString(id) {
		c.report(r.line, "id %q is not of the form P-01", id)
	}
	if first, taken := c.ids[id]; taken {
		c.report(r.line, "%s is taken by line %d", id, first)
	}
	c.ids[id] = r.line
	if behaviour == "" {
		c.report(r.line, "%s says no behaviour", id)
	}
	c.proof(r.line, id, proof)
}

// proof accepts tests, later work, or both: a part proved now and the rest later.
func (c *claims) proof(line int, id, proof string) {
	proof, subject, waits := strings.Cut(proof, laterPrefix)
	if waits {
		c.wait(line, id, strings.TrimSpace(subject))
	}
	named := proofPattern.FindAllStringSubmatch(proof, -1)
	if len(named) == 0 && !waits {
		c.report(line, "%s has neither a test nor later work", id)
	}
	if rest := strings.Trim(proofPattern.ReplaceAllString(proof, ""), " ,;"); rest != "" {
		c.report(line, "%s: %q is not a test; write `path/to/package TestName` or %s SUBJECT", id, rest, laterPrefix)
	}
	for _, n := range named {
		if err := c.tests.find(n[1], n[2]); err != nil {
			c.report(line, "%s: %v", id, err)
		}
	}
}

func (c *claims) wait(line int, id, subject string) {
	c.waiting[subject] = true
	if _, listed := c.later[subject]; !listed {
		c.report(line, "%s waits for %q, which %q does not list", id, subject, laterHeading)
	}
}
