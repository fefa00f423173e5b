package bullmqtable

import (
	"go/ast"
	"slices"

	"github.com/taktwork/takt/test/interop/node"
)

// reading follows the functions of a package from a test on and collects the
// versions that it asks for.
type reading struct {
	functions map[string]*ast.FuncDecl
	seen      map[string]bool
	found     []string
	// named are the versions that the functions name, and open tells that one
	// of them makes a lab of a version that cannot be told from its call.
	named []string
	open  bool
}

// all returns the versions: where a call leaves them open, those that are
// named, as in the cells of a matrix.
func (r *reading) all() []string {
	if r.open {
		r.add(r.named)
	}
	return r.found
}

func (r *reading) function(f *ast.FuncDecl) {
	if r.seen[f.Name.Name] || f.Body == nil {
		return
	}
	r.seen[f.Name.Name] = true
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			r.call(n)
		case *ast.SelectorExpr:
			r.named = append(r.named, versionsNamed(n.Sel.Name)...)
		}
		return true
	})
}

// call reads the calls that choose versions and follows the others. What
// package interop calls them is part of what this package knows.
func (r *reading) call(call *ast.CallExpr) {
	name := calledName(call)
	switch {
	case name == "forVersions":
		r.add(node.Versions())
	case name == "forSome" && len(call.Args) > 2:
		r.add(r.versions(call.Args[2]))
	case name == "newLab" && len(call.Args) == 2:
		r.lab(call.Args[1])
	case r.functions[name] != nil && !isFrame(name):
		r.function(r.functions[name])
	}
}

// lab reads the version of a lab. That of another lab chooses none.
func (r *reading) lab(version ast.Expr) {
	if selector, ok := version.(*ast.SelectorExpr); ok && selector.Sel.Name == "Version" {
		return
	}
	versions := r.versions(version)
	r.open = r.open || len(versions) == 0
	r.add(versions)
}

// isFrame tells the functions that run a test for the versions that they are
// given: they choose none.
func isFrame(name string) bool {
	return slices.Contains([]string{"forVersions", "forSome", "newLab", "sharedAgent"}, name)
}

func (r *reading) add(versions []string) {
	for _, version := range versions {
		if !slices.Contains(r.found, version) {
			r.found = append(r.found, version)
		}
	}
}

// calledName returns the name of a called function of this package.
func calledName(call *ast.CallExpr) string {
	if ident, ok := call.Fun.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}

// versions evaluates an expression that gives versions. What it cannot
// evaluate gives none.
func (r *reading) versions(expression ast.Expr) []string {
	switch e := expression.(type) {
	case *ast.CompositeLit:
		var all []string
		for _, element := range e.Elts {
			all = append(all, r.versions(element)...)
		}
		return all
	case *ast.SelectorExpr:
		return versionsNamed(e.Sel.Name)
	case *ast.CallExpr:
		return r.returned(e)
	case *ast.Ident:
		if e.Name == "fastVersion" {
			return []string{node.V5Last}
		}
	}
	return nil
}

// returned evaluates a call of node.Versions, or of a function of the package
// that returns versions at its end.
func (r *reading) returned(call *ast.CallExpr) []string {
	if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
		return versionsNamed(selector.Sel.Name)
	}
	f := r.functions[calledName(call)]
	if f == nil || len(f.Body.List) == 0 {
		return nil
	}
	last, ok := f.Body.List[len(f.Body.List)-1].(*ast.ReturnStmt)
	if !ok || len(last.Results) != 1 {
		return nil
	}
	return r.versions(last.Results[0])
}

// versionsNamed returns the versions that a name of package node stands for.
func versionsNamed(name string) []string {
	switch name {
	case "V5First":
		return []string{node.V5First}
	case "V5Last":
		return []string{node.V5Last}
	case "V6":
		return []string{node.V6}
	case "Versions":
		return node.Versions()
	}
	return nil
}
