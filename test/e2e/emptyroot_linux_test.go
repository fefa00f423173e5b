package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// nobody is the user that owns nothing but the state directory.
const nobody = 65532

func TestStaticBinaryRunsInAnEmptyRoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	root := filepath.Dir(h.state)
	binary, err := os.ReadFile(workerBin)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "worker"), string(binary), 0o755)
	if err := os.Mkdir(h.state, 0o700); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if err := errors.Join(os.Chown(h.state, nobody, nobody), os.Chmod(root, 0o755)); err != nil {
		attr = inUserNamespace(0, nobody)
		attr.Chroot = root
	}
	h.env = []string{"WORKER_STATE_DIR=/state", "WORKER_DATA_DIR=/state/data", "WORKER_TIMEZONE=America/New_York", "WORKER_HEARTBEAT_ENABLED=false"}
	r := startInRoot(t, h, attr, "run")
	r.ready(t)
	r.waitFor(t, `"timezone":"America/New_York"`)
	probe := startInRoot(t, h, attr, "health")
	probe.exit(t, 0)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
	checkUntouched(t, root)
}

func startInRoot(t *testing.T, h *host, attr *syscall.SysProcAttr, args ...string) *running {
	t.Helper()
	r, err := h.tryStart(t, "/worker", attr, args...)
	if err != nil {
		t.Fatalf("%v\nRun this test as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1).", err)
	}
	return r
}

// checkUntouched fails if there is anything beside the binary and the state
// directory.
func checkUntouched(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch name {
		case ".", "worker", "state", "state/default", "state/data", "state/data/default.db":
		default:
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
