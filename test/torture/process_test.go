package torture_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of the tests.
var patience = sized(time.Minute, 5*time.Minute)

// process is a worker or producer.
type process struct {
	part

	t     testing.TB
	cmd   *exec.Cmd
	log   string
	stdin io.WriteCloser
	out   *bufio.Reader

	done chan struct{}
	err  error
}

// launch starts a process that plays the part. It is killed with the test
// unless it ended before.
func (d desk) launch(t testing.TB, p part) *process {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], p.Args...) //nolint:noctx // ended by kill or stop
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), partVariable + "=" + string(text)}, p.Env...)
	run := &process{part: p, t: t, cmd: cmd, log: filepath.Join(d.dir, "log-"+p.Name), done: make(chan struct{})}
	log, err := os.OpenFile(run.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has it
	cmd.Stderr = log
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	run.stdin, run.out = stdin, bufio.NewReader(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(run.done)
		state, err := cmd.Process.Wait()
		if err == nil && !state.Success() {
			err = &exec.ExitError{ProcessState: state}
		}
		run.err = err
	}()
	t.Cleanup(func() {
		run.kill()
		_ = stdout.Close()
		if t.Failed() {
			t.Logf("log of %s: %s", p.Name, tailOf(run.text()))
		}
	})
	return run
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.stdin.Close()
}

// strike kills the process and notes it.
func (d desk) strike(t testing.TB, kind blowKind, p *process) {
	t.Helper()
	b := blow{Kind: kind, PID: p.pid(), From: instant()}
	p.kill()
	b.Until = instant()
	d.note(t, b)
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s: %v", p.Name, err)
	}
}

// stop tells a worker to stop and waits for its end.
func (p *process) stop() {
	p.t.Helper()
	if p.Role == program {
		p.signal(syscall.SIGTERM)
	}
	_, _ = io.WriteString(p.stdin, "stop\n")
	p.wait()
}

// wait waits for the process to end, well.
func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%s ended with %v, want no error", p.Name, p.err)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended in %s", p.Name, patience)
	}
	if strings.Contains(p.text(), "DATA RACE") {
		p.t.Errorf("%s has a data race: %s", p.Name, p.text())
	}
}

// running tells whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// health asks a worker how it does.
func (p *process) health() health {
	p.t.Helper()
	if p.Role == program {
		return p.askProgram()
	}
	if _, err := io.WriteString(p.stdin, "health\n"); err != nil {
		p.t.Fatalf("ask %s: %v", p.Name, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("answer of %s: %v", p.Name, err)
	}
	var answer health
	if err := json.Unmarshal(line, &answer); err != nil {
		p.t.Fatalf("answer of %s: %v", p.Name, err)
	}
	return answer
}

// text is what the process has logged.
func (p *process) text() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

// tailOf returns the end of a long text.
func tailOf(text string) string {
	const most = 4000
	if len(text) <= most {
		return text
	}
	return "…" + text[len(text)-most:]
}

// await waits until the condition holds; what says what is waited for.
func await(t testing.TB, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for: %s", limit, what)
		}
	}
}

// rest lets d pass: a fault that is to last.
func rest(d time.Duration) { <-time.After(d) }
