package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The versions of BullMQ that test/interop/package.json installs: the oldest
// that Takt shares queues with, the latest 5.x and the latest.
const (
	V5First = "5.70.1"
	V5Last  = "5.81.5"
	V6      = "6.7.0"
)

// Versions returns all versions, oldest first.
func Versions() []string { return []string{V5First, V5Last, V6} }

const (
	startPatience = 30 * time.Second
	stopPatience  = 5 * time.Second
	keptStderr    = 64 << 10
)

// Agent is a Node process with one version of BullMQ. It is safe for
// concurrent use.
type Agent struct {
	Version string

	cmd   *exec.Cmd
	stdin io.WriteCloser
	link  *link
	errs  *tail
	ended chan struct{}
}

// Start starts an agent and waits until it is ready. The caller stops it.
func Start(version string) (*Agent, error) {
	home, err := findHome()
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	a := &Agent{Version: version, errs: &tail{}, ended: make(chan struct{})}
	a.cmd = exec.Command("node", "agent.js", version) //nolint:gosec,noctx // ended by Stop or Kill
	a.cmd.Dir, a.cmd.Stderr = home, a.errs
	if a.stdin, err = a.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	a.link = newLink(a.stdin)
	go func() {
		defer close(a.ended)
		a.link.Read(stdout)
		_ = a.cmd.Wait()
	}()
	return a, a.awaitReady()
}

func (a *Agent) awaitReady() error {
	timer := time.NewTimer(startPatience)
	defer timer.Stop()
	select {
	case <-a.link.ready:
		return nil
	case <-a.ended:
		return fmt.Errorf("start node with BullMQ %s: it ended at once (run .ci/need-interop): %s", a.Version, a.Stderr())
	case <-timer.C:
		a.Kill()
		return fmt.Errorf("start node with BullMQ %s: not ready after %s: %s", a.Version, startPatience, a.Stderr())
	}
}

// PID returns the id of the process.
func (a *Agent) PID() int { return a.cmd.Process.Pid }

// Stderr returns the last of what the process wrote to its standard error.
func (a *Agent) Stderr() string { return a.errs.String() }

// Stop ends the process as its driver's end would, and waits for its end; one
// that hangs is killed. Stopping it twice does no harm.
func (a *Agent) Stop() {
	_ = a.stdin.Close()
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-a.ended:
	case <-timer.C:
		a.Kill()
	}
}

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (a *Agent) Kill() {
	_ = a.cmd.Process.Kill()
	<-a.ended
}

// Call sends one request and returns the reply. Errors of Node are [*Error].
func (a *Agent) Call(ctx context.Context, request Request) (Value, error) {
	value, err := a.link.Call(ctx, request)
	if errors.Is(err, errEnded) {
		err = fmt.Errorf("%w: %s", err, a.Stderr())
	}
	return value, err
}

// findHome returns the directory of agent.js, looked for above the directory
// that the test runs in.
func findHome() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		home := filepath.Join(at, "test", "interop")
		if _, err := os.Stat(filepath.Join(home, "agent.js")); err == nil {
			if _, err := os.Stat(filepath.Join(home, "node_modules")); err != nil {
				return "", errors.New("BullMQ is not installed: run .ci/need-interop (make interop and make test do)")
			}
			return home, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no test/interop/agent.js above %s", dir)
		}
	}
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - keptStderr; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}
