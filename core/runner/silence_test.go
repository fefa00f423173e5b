package runner_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// source is the runner's own code.
type source struct {
	funcs map[string][]*ast.FuncDecl
	// branches are those that there are.
	branches map[string]bool
}

func readSource(t *testing.T) *source {
	t.Helper()
	src := &source{funcs: map[string][]*ast.FuncDecl{}, branches: map[string]bool{}}
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // one package without build tags
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range packages {
		for _, file := range pkg.Files {
			for _, decl := range file.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
					src.funcs[fn.Name.Name] = append(src.funcs[fn.Name.Name], fn)
				}
			}
		}
	}
	return src
}

// records reports whether the code can come to a call of the journal, or names
// the event or outcome that its caller records.
func (s *source) records(node ast.Node, seen map[string]bool) bool {
	found := false
	ast.Inspect(node, func(n ast.Node) bool {
		if found {
			return false
		}
		switch n := n.(type) {
		case *ast.SelectorExpr:
			name := n.Sel.Name
			found = isDomain(n.X) && (strings.HasPrefix(name, "Event") && name != "Event") || isJournal(n.X) && name == "Record" || name == "Outcome" && isDomain(n.X)
		case *ast.CallExpr:
			found = s.called(n.Fun, seen)
		}
		return !found
	})
	return found
}

func (s *source) called(fun ast.Expr, seen map[string]bool) bool {
	name := ""
	switch fun := fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
	}
	if name == "" || seen[name] {
		return false
	}
	seen[name] = true
	return slices.ContainsFunc(s.funcs[name], func(fn *ast.FuncDecl) bool { return s.records(fn.Body, seen) })
}

func isDomain(x ast.Expr) bool {
	name, ok := x.(*ast.Ident)
	return ok && name.Name == "domain"
}

func isJournal(x ast.Expr) bool {
	sel, ok := x.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "journal"
}

// silent are the branches without a record, named by their function and case,
// and why that is right.
func silent() map[string]string {
	return map[string]string{
		"obey Taken":                  "whoever has the tick records it",
		"obey Superseded":             "tellRevisions records it, for all jobs of the call",
		"obey Lost":                   "as for taken: it was another's before",
		"claimNow Taken":              "a run on start that another has is recorded by it",
		"takeSlot Granted":            "the attempt that follows is recorded",
		"takeSlot Lost":               "the replica took the run over from itself and goes on",
		"renewed RenewalLost":         "the run's context ends, and its end is recorded",
		"renewed RenewalCancel":       "as for lost",
		"failUnsupported Unsupported": "the failure that is written instead is recorded",
		"dispatched endSuccess":       "another end is recorded by the step that follows it",
		"preempt Queued":              "the run that gives way records its end",
		"renew RenewalLost":           "the dispatch is answered as lost, which the run records",
		"renew RenewalCancel":         "the dispatch goes on: the run is nearly done",
	}
}

// TestNoDecisionIsSilent checks that each case of a verdict, a status, an end
// or a step leads to a record, or is listed with the reason why not.
func TestNoDecisionIsSilent(t *testing.T) {
	t.Parallel()
	src := readSource(t)
	watched := map[string]bool{}
	for _, name := range []string{
		"Granted", "Moved", "Taken", "Blocked", "Queued", "Paused", "Superseded", "Lost",
		"DispatchBlocked", "DispatchLost", "Dispatched", "RenewalLost", "RenewalCancel",
		"driveAgain", "recordLost", "recordUnknown", "quarantine",
		"endSuccess", "endFailure", "endPermanent", "endSkip", "endNoResult", "endSnooze", "endRateLimit", "endChildren", "endTimeout", "endLost", "endShutdown", "endPreempted",
		"LeaseLost", "Unsupported", "Quarantined",
	} {
		watched[name] = false
	}
	for _, fns := range src.funcs {
		for _, fn := range fns {
			src.checkCases(t, fn, watched)
		}
	}
	for name, met := range watched {
		if !met {
			t.Errorf("no case or condition of the runner is about %s", name)
		}
	}
	for place := range silent() {
		if !src.branches[place] {
			t.Errorf("%s is no branch: take it off the list", place)
		}
	}
}

// checkCases checks the cases of one function.
func (s *source) checkCases(t *testing.T, fn *ast.FuncDecl, watched map[string]bool) {
	t.Helper()
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			for _, name := range namesIn(n.List, watched) {
				watched[name] = true
				s.checkBranch(t, fn, name, n.Body)
			}
		case *ast.IfStmt:
			for _, name := range namesIn([]ast.Expr{n.Cond}, watched) {
				watched[name] = true
				s.checkBranch(t, fn, name, []ast.Stmt{n.Body})
			}
		}
		return true
	})
}

func (s *source) checkBranch(t *testing.T, fn *ast.FuncDecl, name string, body []ast.Stmt) {
	t.Helper()
	place := fn.Name.Name + " " + name
	s.branches[place] = true
	for _, statement := range body {
		if s.records(statement, map[string]bool{fn.Name.Name: true}) {
			return
		}
	}
	// What does not return leads to what follows.
	if !leaves(body) && s.records(fn.Body, map[string]bool{fn.Name.Name: true}) {
		return
	}
	if silent()[place] == "" {
		t.Errorf("%s: the branch of %s records nothing; record it, or say in the list of silent branches why not", fn.Name.Name, name)
	}
}

// leaves reports whether the statements can leave the function or the turn of
// a loop.
func leaves(body []ast.Stmt) bool {
	found := false
	for _, statement := range body {
		ast.Inspect(statement, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.ReturnStmt, *ast.BranchStmt:
				found = true
			}
			return !found
		})
	}
	return found
}

func namesIn(list []ast.Expr, watched map[string]bool) []string {
	var names []string
	for _, expr := range list {
		ast.Inspect(expr, func(n ast.Node) bool {
			name := ""
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if isDomain(n.X) {
					name = n.Sel.Name
				}
			case *ast.Ident:
				name = n.Name
			}
			if _, ok := watched[name]; ok {
				names = append(names, name)
			}
			_, selects := n.(*ast.SelectorExpr)
			return !selects
		})
	}
	return names
}
