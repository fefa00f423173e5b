package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	// What the image is built from, so that a cached result of these tests is not taken for one of changed code.
	_ "github.com/taktwork/takt/app/cli"
	_ "github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/test/pgtest"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the files that are made from others")

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == containerArg {
		os.Exit(becomeContainer(os.Args[2:]))
	}
	code := pgtest.Main(m)
	if tree.dir != "" {
		code = max(code, removeTree())
	}
	if err := goleak.Find(goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1")); code == 0 && err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

// repository is the path of a file below the top of the repository.
func repository(t testing.TB, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"../.."}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		t.Fatal(err)
	}
}

// said is what a command printed, and its exit code.
type said struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end, with no other environment than that given and PATH.
func run(t testing.TB, environ []string, name string, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}, environ...)
	err := cmd.Run()
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return said{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
}

// want fails unless the command exited with the code.
func (s said) want(t testing.TB, code int) said {
	t.Helper()
	if s.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", s.code, code, s.stdout, s.stderr)
	}
	return s
}

// need returns the path of a tool that the tests call.
func need(t testing.TB, tool, packageName string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%s is not installed: run make deploy-tools, or apt-get install %s (%v)", tool, packageName, err)
	}
	return path
}

func background(t testing.TB) context.Context {
	t.Helper()
	// Not t.Context: it would kill the process before its end is looked at.
	return context.WithoutCancel(t.Context())
}
