package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/docs"
)

func TestLogMessagesAreFoundInCallsAndReturns(t *testing.T) {
	tree := fstest.MapFS{
		"a/a.go": {Data: []byte(`package a

func f() {
	log.WarnContext(ctx, "store away", "err", err)
	log.InfoContext(ctx, "began at "+now)
	log.InfoContext(ctx, message)
	return errors.New("no message")
}

func messageOf(e event) string {
	if e == started {
		return "run started"
	}
	return string(e)
}
`)},
		"a/a_test.go": {Data: []byte("package a\nfunc g() { log.InfoContext(ctx, \"in a test\") }\n")},
	}
	got, err := docs.LogMessages(tree, "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"began at ", "run started", "store away"}, got); diff != "" {
		t.Errorf("LogMessages() differs (-want +got):\n%s", diff)
	}
}

func TestEveryLogMessageIsExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module(t), "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	messages, err := docs.LogMessages(os.DirFS(module(t)), "core/runner", "adapters", "app")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range messages {
		// The page may cut a long message after its first part.
		first, _, _ := strings.Cut(message, ": ")
		if !strings.Contains(string(text), "`"+strings.TrimSpace(first)) {
			t.Errorf("docs/operate.md says nothing about the log message %q", message)
		}
	}
}

var exitRow = regexp.MustCompile(`(?m)^\| (\d+) \|`)

func TestEveryExitCodeIsExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module(t), "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, row := range exitRow.FindAllStringSubmatch(string(text), -1) {
		explained = append(explained, row[1])
	}
	if diff := cmp.Diff(exitCodes(t), explained); diff != "" {
		t.Errorf("the exit codes of docs/operate.md differ from those of app/cli (-want +got):\n%s", diff)
	}
}

// exitCodes are the numbers of app/cli's constants, in order.
func exitCodes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(module(t), "app", "cli", "exit.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Exit") {
			return true
		}
		if number, ok := spec.Values[0].(*ast.BasicLit); ok {
			codes = append(codes, number.Value)
		}
		return true
	})
	slices.Sort(codes)
	return codes
}
