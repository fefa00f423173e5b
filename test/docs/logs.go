package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// LogMessages returns the messages that the code below the directories logs, sorted: those of calls such as
// WarnContext, and those that a function of the name messageOf or lineOf returns. Of a message that is put together it
// is the beginning.
func LogMessages(tree fs.FS, directories ...string) ([]string, error) {
	var found []string
	for _, directory := range directories {
		err := fs.WalkDir(tree, directory, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			messages, err := messagesIn(tree, name)
			found = append(found, messages...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// messagesIn returns the messages of one file.
func messagesIn(tree fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	collect := func(expression ast.Expr) {
		if text := textOf(expression); text != "" {
			found = append(found, text)
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			if isLogCall(node) {
				collect(node.Args[1])
			}
		case *ast.FuncDecl:
			if node.Name.Name == "messageOf" || node.Name.Name == "lineOf" {
				eachResult(node.Body, collect)
			}
		}
		return true
	})
	return found, nil
}

func isLogCall(call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	return ok && len(call.Args) > 1 &&
		slices.Contains([]string{"DebugContext", "InfoContext", "WarnContext", "ErrorContext"}, selector.Sel.Name)
}

// eachResult hands the last result of each return statement to do.
func eachResult(body *ast.BlockStmt, do func(ast.Expr)) {
	ast.Inspect(body, func(node ast.Node) bool {
		if statement, ok := node.(*ast.ReturnStmt); ok && len(statement.Results) > 0 {
			do(statement.Results[len(statement.Results)-1])
		}
		return true
	})
}

// textOf returns the text of a string literal, or of the one that a sum begins with.
func textOf(expression ast.Expr) string {
	if sum, ok := expression.(*ast.BinaryExpr); ok {
		expression = sum.X
	}
	literal, ok := expression.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return text
}
