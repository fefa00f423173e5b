package control_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheKernelGivesAForeignUserAwayEvenIfTheModesDoNot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become someone else")
	}
	dir := stateDir(t)
	r := start(t, config(dir, "a"))
	for path, mode := range map[string]fs.FileMode{dir: 0o755, filepath.Dir(r.Path()): 0o755, r.Path(): 0o666} {
		must(t, os.Chmod(path, mode))
	}
	type outcome struct {
		text string
		err  error
	}
	asked := make(chan outcome, 1)
	go func() {
		// One thread takes the other identity and dies with this goroutine.
		runtime.LockOSThread()
		text, err := askAs(12345, r.Path())
		asked <- outcome{text, err}
	}()
	select {
	case got := <-asked:
		if got.err != nil || !strings.Contains(got.text, "its own user and root") {
			t.Errorf("reply to uid 12345 = %q, %v, want a refusal", got.text, got.err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no reply to uid 12345")
	}
}

func askAs(uid int, path string) (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // a test's end
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		return "", errno
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return "", err
	}
	answer := make([]byte, 4096)
	n, err := unix.Read(fd, answer)
	return string(answer[:max(n, 0)]), err
}
