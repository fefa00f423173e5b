package docs_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	// What the documents' code is built with, so that a cached result of
	// these tests is not taken for one of changed code.
	_ "github.com/taktwork/takt/app/cli"
	_ "github.com/taktwork/takt/app/lifecycle"
	_ "github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/schedule"
	"github.com/taktwork/takt/test/docs"
)

// module is the directory that the documents' paths are relative to.
func module(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// slow marks a test that runs the go command.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs the go command")
	}
}

func TestEveryGoBlockOfTheDocsCompiles(t *testing.T) {
	slow(t)
	guides, err := filepath.Glob(filepath.Join(module(t), "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents := []string{"README.md"}
	for _, guide := range guides {
		documents = append(documents, filepath.Join("docs", filepath.Base(guide)))
	}
	compiler := docs.Compiler{Module: module(t), Scratch: t.TempDir()}
	if err := compiler.Compile(t.Context(), documents...); err != nil {
		t.Errorf("the documents do not compile:\n%v", err)
	}
}

func TestACompilerErrorNamesTheLineOfTheDocument(t *testing.T) {
	slow(t)
	for name, code := range map[string]string{
		"whole file":   "package shop\nvar _ int = true\n",
		"declarations": "type order struct{}\nvar _ int = true\n",
		"statements":   "n := 1\nn = true\n",
		"list":         "app.Every(time.Second),\napp.Every(\"1s\"),\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := module(t)
			document := filepath.Join(t.TempDir(), "wrong.md")
			if err := os.WriteFile(document, []byte("# Wrong\n\n```go\n"+code+"```\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			relative, err := filepath.Rel(dir, document)
			if err != nil {
				t.Fatal(err)
			}
			compiler := docs.Compiler{Module: dir, Scratch: t.TempDir()}
			err = compiler.Compile(t.Context(), relative)
			if _, ok := errors.AsType[*docs.CompileError](err); !ok || !strings.Contains(err.Error(), "wrong.md:5:") {
				t.Errorf("Compile() = %v, want a CompileError at wrong.md:5", err)
			}
		})
	}
}

func TestBlocksFindsGoAlone(t *testing.T) {
	text := "# A\n\n```go\na := 1\n```\n\n```sh\nmake run\n```\n\n- item\n\n  ```go\n  if a {\n  \tb()\n  }\n  ```\n\n```text\n```go\n```\n"
	want := []docs.Block{
		{Document: "a.md", Line: 4, Code: "a := 1\n"},
		{Document: "a.md", Line: 14, Code: "if a {\n\tb()\n}\n"},
	}
	if diff := cmp.Diff(want, docs.Blocks("a.md", text)); diff != "" {
		t.Errorf("Blocks() differs (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoGoIsReportedWithItsPlace(t *testing.T) {
	_, err := docs.Files("example.com/root", []docs.Block{{Document: "a.md", Line: 7, Code: "if {\n"}})
	if err == nil || !strings.HasPrefix(err.Error(), "a.md:7: ") {
		t.Errorf("Files() = %v, want an error at a.md:7", err)
	}
}

func TestPackagesOfADocumentImportEachOther(t *testing.T) {
	files, err := docs.Files("example.com/root", []docs.Block{
		{Document: "a.md", Line: 3, Code: "package stock\n"},
		{Document: "a.md", Line: 9, Code: "package main\n\nimport \"example.com/shop/stock\"\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []docs.File{
		{Name: "stock/line3.go", Text: "//line a.md:3\npackage stock\n"},
		{Name: "main9/line9.go", Text: "//line a.md:9\npackage main\n\nimport \"example.com/root/stock\"\n"},
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("Files() differs (-want +got):\n%s", diff)
	}
}

var cronRow = regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\| `([^`]+)` \\|")

func TestEveryCronExpressionOfTheGuideParses(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module(t), "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := cronRow.FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		if _, err := schedule.ParseCron(row[2], ""); err != nil {
			t.Errorf("%s: %v", row[1], err)
		}
	}
	// So many constants has @nestjs/schedule.
	if want := 84; len(rows) != want {
		t.Errorf("the guide lists %d constants, want %d", len(rows), want)
	}
}

var testName = regexp.MustCompile("`([a-z/]+) ((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")

func TestEveryTestThatTheArchitecturePageNamesExists(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := testName.FindAllStringSubmatch(string(text), -1)
	if len(named) == 0 {
		t.Error("the page names no test")
	}
	for _, name := range named {
		if !declares(t, name[1], name[2]) {
			t.Errorf("package %s has no %s", name[1], name[2])
		}
	}
}

// declares reports whether a test file of the package declares the function.
func declares(t *testing.T, dir, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(module(t), filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+function+"(") {
			return true
		}
	}
	return false
}
