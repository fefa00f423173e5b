package docs_test

import (
	"os"
	"path/filepath"
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

func TestEveryLogMessageIsExplainedInTheGuide(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module(t), "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	messages, err := docs.LogMessages(os.DirFS(module(t)), "core/runner", "adapters", "app")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range messages {
		// The guide may cut a long message after its first part.
		first, _, _ := strings.Cut(message, ": ")
		if !strings.Contains(string(text), "`"+strings.TrimSpace(first)) {
			t.Errorf("the guide says nothing about the log message %q", message)
		}
	}
}
