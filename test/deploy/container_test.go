package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what should come at once. It is long because the machine may be busy; nothing
// waits for it to pass.
const patience = 60 * time.Second

// imageUser is the user and the group of the image.
const imageUser = 65532

// containerArg makes this test binary a container: see becomeContainer.
const containerArg = "become-container"

// spec is what a container runtime is told.
type spec struct {
	// Root is the file tree of the image, with the places of all mounts in it.
	Root string
	// Mounts are directories of the host by where the container sees them, read-only.
	Mounts map[string]string
	// State is the directory of the host that the container may write to: an emptyDir.
	State string
	Args  []string
	Env   []string
}

// becomeContainer turns this process into that of a container: an empty root that is read-only, one writable directory, a
// user without rights and without the means to get any. Without root it is the same in a user namespace.
func becomeContainer(args []string) int {
	runtime.LockOSThread()
	var s spec
	err := json.Unmarshal([]byte(args[0]), &s)
	if err == nil {
		err = s.enter()
	}
	if err == nil {
		err = syscall.Exec("/usr/local/bin/worker", append([]string{"worker"}, s.Args...), s.Env)
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	return 125
}

func (s spec) enter() error {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	err = errors.Join(err, bind(s.Root, s.Root, true))
	err = errors.Join(err, bind(s.State, s.Root+writable, false))
	for inside, outside := range s.Mounts {
		err = errors.Join(err, bind(outside, s.Root+inside, true))
	}
	err = errors.Join(err, unix.Chroot(s.Root), unix.Chdir(writable))
	if err != nil {
		return err
	}
	return dropRights()
}

// bind shows a directory at another place.
func bind(from, to string, readOnly bool) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	if !readOnly {
		return nil
	}
	// In a user namespace the flags of the host's own mount have to stay.
	var fs unix.Statfs_t
	if err := unix.Statfs(to, &fs); err != nil {
		return err
	}
	kept := uintptr(fs.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_RELATIME)
	return unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|kept, "")
}

func dropRights() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	for right := uintptr(0); right <= unix.CAP_LAST_CAP; right++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0); err != nil {
			return err
		}
	}
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgroups([]int{imageUser}), syscall.Setgid(imageUser), syscall.Setuid(imageUser)); err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// with sets variables, in place of those of the same names.
func with(variables []string, pairs ...string) []string {
	result := slices.Clone(variables)
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		result = slices.DeleteFunc(result, func(p string) bool { return strings.HasPrefix(p, name+"=") })
		result = append(result, pair)
	}
	return result
}

// isolation are the namespaces of a container. The network is the host's: the stores are on its loopback.
func isolation() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getgid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP}
	}
	return attr
}

// emptyDir makes a directory as Kubernetes makes one: of root and the group of the pod, for everybody.
func emptyDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 0, imageUser); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, os.ModeSetgid|0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// secretDir makes a directory as Kubernetes makes that of a secret with defaultMode 0440 and fsGroup.
func secretDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, path := range files {
		to := filepath.Join(dir, name)
		write(t, to, read(t, path), 0o440)
		if os.Getuid() == 0 {
			if err := os.Chown(to, 0, imageUser); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// pod is one container that runs, and what may be asked within it.
type pod struct {
	spec

	cmd    *exec.Cmd
	stderr *transcript
	done   chan struct{}
	// told is when it got SIGTERM, ended when it was gone: to be read after done.
	told, ended time.Time
}

// start starts a container. It is killed with the test if it has not ended.
func (s spec) start(t testing.TB) *pod {
	t.Helper()
	p := &pod{spec: s, cmd: s.command(t), stderr: newTranscript(), done: make(chan struct{})}
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%v\nRun this test as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1).", err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
		p.ended = time.Now()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%v:\n%s", p.Args, p.stderr)
		}
	})
	return p
}

func (s spec) command(t testing.TB) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(background(t), os.Args[0], containerArg, string(text))
	cmd.SysProcAttr, cmd.Env = isolation(), []string{}
	return cmd
}

// ask runs a command within the container, to its end.
func (s spec) ask(t testing.TB, stdin string, args ...string) said {
	t.Helper()
	s.Args = args
	cmd := s.command(t)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return said{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
}

// terminate sends what an orchestrator sends first.
func (p *pod) terminate(t testing.TB) {
	t.Helper()
	p.told = time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// exits waits for the end and compares the exit code.
func (p *pod) exits(t testing.TB, code int, within time.Duration) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("still running after %s", within)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d (%s), want %d", got, p.cmd.ProcessState, code)
	}
}

// says waits until the log holds the text.
func (p *pod) says(t testing.TB, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		seen, changed := p.stderr.now()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-changed:
		case <-p.done:
			if !strings.Contains(p.stderr.String(), text) {
				t.Fatalf("it ended before it said %q", text)
			}
			return
		case <-deadline:
			t.Fatalf("no %q within %s", text, patience)
		}
	}
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

// entries are the records of the log with the message.
func (l *transcript) entries(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			found = append(found, entry)
		}
	}
	return slices.Clip(found)
}
