package main_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheMainIsAtMostTwentyLines(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > 20 {
		t.Errorf("main.go has %d lines, want at most 20", lines)
	}
}

func TestTheConsumersWorkerRunsItsFeature(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "consumer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "run")
	command.Dir = t.TempDir()
	command.Env = []string{"WORKER_STATE_DIR=" + stateDir(t), "LOG_LEVEL=debug", "HOME=" + t.TempDir()}
	reader, writer := io.Pipe()
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- command.Wait()
		_ = writer.Close()
	}()
	var log strings.Builder
	signalled := false
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if line := lines.Text(); !signalled && strings.Contains(line, "job completed") && strings.Contains(line, "greet") {
			signalled = true
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	if err := <-ended; err != nil || !signalled {
		t.Errorf("the worker ended with %v, job handled: %t; want exit 0 after its job\n%s", err, signalled, log.String())
	}
}

// stateDir is short enough for the path of a Unix socket.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "takt") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "state")
}
