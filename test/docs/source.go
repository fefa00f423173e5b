package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
)

// shop is the module that the documents write their whole files for.
const shop = "example.com/shop"

const takt = "github.com/taktwork/takt"

// usual returns the import path of a package that fragments need not import.
func usual(name string) (path string, ok bool) {
	switch name {
	case "context", "errors", "fmt", "os", "strings", "testing", "time":
		return name, true
	case "json":
		return "encoding/json", true
	case "http":
		return "net/http", true
	case "slog":
		return "log/slog", true
	case "app":
		return takt + "/app", true
	case "cli", "config", "lifecycle", "takttest":
		return takt + "/app/" + name, true
	case "redisqueue", "storage":
		return takt + "/adapters/" + name, true
	case "pgx":
		return "github.com/jackc/pgx/v5", true
	case "pgxpool":
		return "github.com/jackc/pgx/v5/pgxpool", true
	case "domain", "ports", "runner", "schedule":
		return takt + "/core/" + name, true
	}
	return "", false
}

// given declares what fragments may use without declaring it.
const given = `package fragments

import (
	"context"
	"log/slog"
	"testing"

	"github.com/taktwork/takt/app"
)

var (
	ctx     context.Context
	t       *testing.T
	log     *slog.Logger
	run     app.RunFunc
	service *app.SchedulerService
	err     error
)
`

// File is Go source made of a block.
type File struct {
	// Name is the path of the file below the package path that the document has.
	Name string
	Text string
}

// Files makes Go source of the blocks of one document, as packages below the import path root.
func Files(root string, blocks []Block) ([]File, error) {
	var files []File
	fragments := false
	for _, block := range blocks {
		if name, whole := packageOf(block.Code); whole {
			files = append(files, wholeFile(root, name, block))
			continue
		}
		text, err := fragmentFile(block)
		if err != nil {
			return nil, err
		}
		fragments = true
		files = append(files, File{Name: fmt.Sprintf("fragments/line%d.go", block.Line), Text: text})
	}
	if fragments {
		files = append(files, File{Name: "fragments/given.go", Text: given})
	}
	return files, nil
}

// packageOf returns the package name of a block that is a whole file.
func packageOf(code string) (name string, whole bool) {
	file, err := parser.ParseFile(token.NewFileSet(), "", code, parser.PackageClauseOnly)
	if err != nil {
		return "", false
	}
	return file.Name.Name, true
}

func wholeFile(root, name string, block Block) File {
	dir := name
	if name == "main" {
		dir = fmt.Sprintf("main%d", block.Line)
	}
	return File{
		Name: path.Join(dir, fmt.Sprintf("line%d.go", block.Line)),
		Text: lineOf(block) + strings.ReplaceAll(block.Code, `"`+shop+`/`, `"`+root+`/`),
	}
}

// lineOf makes the compiler name the document instead of the file made of it.
func lineOf(block Block) string { return fmt.Sprintf("//line %s:%d\n", block.Document, block.Line) }

// fragmentFile makes a file of a fragment: of declarations, of statements, or of a list of expressions, whichever it
// can be read as.
func fragmentFile(block Block) (string, error) {
	line := lineOf(block)
	bodies := []string{
		line + block.Code,
		"func _() (any, error) {\n" + line + block.Code + "return nil, nil\n}\n",
		"var _ = []any{\n" + line + block.Code + "}\n",
	}
	for _, body := range bodies {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package fragments\n"+body, parser.AllErrors)
		if err == nil {
			return "package fragments\n" + importsOf(file) + body, nil
		}
	}
	return "", fmt.Errorf("%s:%d: neither declarations nor statements nor a list of expressions", block.Document, block.Line)
}

// importsOf returns the imports of the usual packages that the file uses.
func importsOf(file *ast.File) string {
	var used []string
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := selector.X.(*ast.Ident)
		if !ok || !slices.Contains(file.Unresolved, name) {
			return true
		}
		if imported, ok := usual(name.Name); ok {
			used = append(used, fmt.Sprintf("import %q\n", imported))
		}
		return true
	})
	slices.Sort(used)
	return strings.Join(slices.Compact(used), "")
}
