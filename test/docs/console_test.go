package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/docs"
)

func TestCommandsAreThoseOfConsoleBlocks(t *testing.T) {
	text := "```sh\n$ make\n```\n\n```console\n$ worker version\nworker  1\ngo\n$ echo $?\n0\n```\n\n```text\nworker\n```\n"
	want := []docs.Command{
		{Line: 6, Text: "worker version", Output: "worker  1\ngo\n"},
		{Line: 9, Text: "echo $?", Output: "0\n"},
	}
	if diff := cmp.Diff(want, docs.Commands(text)); diff != "" {
		t.Errorf("Commands() differs (-want +got):\n%s", diff)
	}
}

// Plans of expressions depend on nothing but their arguments, so that the guide can be held to them.
func TestThePlansInTheGuideAreWhatTheCommandPrints(t *testing.T) {
	slow(t)
	text, err := os.ReadFile(filepath.Join(module(t), "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	bin := buildWorker(t)
	plans := 0
	for _, command := range docs.Commands(string(text)) {
		if !strings.HasPrefix(command.Text, "worker plan --cron") {
			continue
		}
		plans++
		shell := exec.CommandContext(t.Context(), "sh", "-c", command.Text+" 2>&1")
		shell.Env = []string{"PATH=" + bin}
		shell.Dir = t.TempDir()
		// Exit codes are the tests' of the command line.
		got, _ := shell.Output()
		if diff := cmp.Diff(command.Output, string(got)); diff != "" {
			t.Errorf("guide.md:%d: %s (-guide +printed):\n%s", command.Line, command.Text, diff)
		}
	}
	if plans == 0 {
		t.Error("the guide shows no plan")
	}
}

// buildWorker builds the worker and returns the directory that it lies in.
func buildWorker(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "worker"), "./cmd/worker")
	build.Dir = module(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return bin
}
