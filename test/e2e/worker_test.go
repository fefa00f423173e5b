package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once. It is long
// because the machine may be busy; nothing waits for it to pass.
const patience = 30 * time.Second

// host is a place where workers run: a working directory, a state directory
// and an environment of their own.
type host struct {
	dir, state string
	env        []string
}

// newHost returns one whose workers have no ticks of their own: a heartbeat that
// a stop meets would tell what the test did not do. The variables in env may
// give them some.
func newHost(t *testing.T, env ...string) *host {
	t.Helper()
	// Not t.TempDir: the path of a socket is short.
	state, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	return &host{
		dir: t.TempDir(), state: state + "/state",
		env: append([]string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TZ=", "WORKER_STATE_DIR=" + state + "/state", "WORKER_DATA_DIR=" + t.TempDir(),
			"WORKER_HEARTBEAT_ENABLED=false",
		}, env...),
	}
}

// beating is the environment of workers with a heartbeat.
func beating(cron string, more ...string) []string {
	return append([]string{"WORKER_HEARTBEAT_ENABLED=true", "WORKER_HEARTBEAT_CRON=" + cron}, more...)
}

// transcript collects output and lets others wait for what it will hold.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (l *transcript) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(text)
}

func (l *transcript) now() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.changed
}

func (l *transcript) String() string {
	text, _ := l.now()
	return text
}

// running is a worker that was started.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr *transcript
	done           chan struct{}
}

// start starts a binary; it is killed when the test ends before it does.
func (h *host) start(t *testing.T, binary string, args ...string) *running {
	t.Helper()
	r, err := h.tryStart(t, binary, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (h *host) tryStart(t *testing.T, binary string, attr *syscall.SysProcAttr, args ...string) (*running, error) {
	t.Helper()
	r := &running{cmd: h.command(t, binary, args...), stdout: newTranscript(), stderr: newTranscript(), done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.SysProcAttr = r.stdout, r.stderr, attr
	if attr != nil && attr.Chroot != "" {
		r.cmd.Dir = "/"
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.done
		if t.Failed() {
			t.Logf("%s\nstdout:\n%s\nstderr:\n%s", r.cmd, r.stdout, r.stderr)
		}
	})
	return r, nil
}

func (h *host) command(t *testing.T, binary string, args ...string) *exec.Cmd {
	t.Helper()
	// Not t.Context: it would kill the process before its end is looked at.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Dir, cmd.Env = h.dir, h.env
	return cmd
}

// waitFor waits until stderr holds the text.
func (r *running) waitFor(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		seen, changed := r.stderr.now()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-changed:
		case <-r.done:
			if strings.Contains(r.stderr.String(), text) {
				return
			}
			t.Fatalf("the process ended before it said %q", text)
		case <-deadline:
			t.Fatalf("no %q within %s", text, patience)
		}
	}
}

func (r *running) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", s, err)
	}
}

// exit waits for the end and compares the exit code. A process that a signal
// ended has the code -1.
func (r *running) exit(t *testing.T, want int) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		t.Fatalf("still running after %s, want exit code %d", patience, want)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("exit code = %d (%s), want %d", got, r.cmd.ProcessState, want)
	}
}

// answer is what a command printed, and its exit code.
type answer struct {
	stdout, stderr string
	code           int
}

// ask runs a command to its end.
func (h *host) ask(t *testing.T, binary string, args ...string) answer {
	t.Helper()
	return h.askWith(t, "", binary, args...)
}

func (h *host) askWith(t *testing.T, stdin, binary string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = h.dir, h.env, strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return answer{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
}

// want fails unless the command exited with the code and printed the texts,
// on whichever stream.
func (a answer) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Fatalf("exit code = %d, want %d\nstdout: %s\nstderr: %s", a.code, code, a.stdout, a.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(a.stdout+a.stderr, text) {
			t.Errorf("no %q in\nstdout: %s\nstderr: %s", text, a.stdout, a.stderr)
		}
	}
}

const (
	ready   = "worker ready"
	startup = "Worker startup event processed at "
)

// ready waits until the worker has started and done its startup job, which a
// stop would drop if it came first.
func (r *running) ready(t *testing.T) {
	t.Helper()
	r.waitFor(t, ready)
	r.waitFor(t, startup)
}
